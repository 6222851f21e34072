"""The reference page of hooks: every decorator has a heading and a sample, and the samples run as one app."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from havn.runtime import hooks

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "hooks.md"
SAMPLES = "\n\n".join(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL))


def test_every_hook_is_described_and_sampled() -> None:
    decorators = {
        name
        for name in hooks.__all__
        if inspect.isfunction(function := getattr(hooks, name)) and "register(" in inspect.getsource(function)
    }
    assert len(decorators) >= 24
    text = PAGE.read_text()
    headings = " ".join(line for line in text.splitlines() if line.startswith("###"))
    assert [name for name in sorted(decorators) if f"`{name}" not in headings] == []
    assert [name for name in sorted(decorators) if f"@{name}(" not in SAMPLES] == []


async def test_the_samples_run(stage, builder, ops) -> None:
    builder.hooks = SAMPLES
    builder.steps = [("Task_1", "data", ["beregn!"]), ("Send", "utsending", [])]
    builder.service = frozenset({"Send"})
    builder.rules = [
        ("urn:altinn:rolecode", role, ["instantiate", "read", "write", "beregn", "utsending"])
        for role in ("priv", "dagl")
    ]
    builder.metadata["dataTypes"][1] |= {"enabledFileAnalysers": ["innhold"], "enabledFileValidators": ["ekte-pdf"]}
    app = await stage.deploy(builder.write())
    client = await app.client("Sindig Bjørk")
    refused = await client.post("instances", params={"instanceOwnerPartyId": app.party("Lysende Furu AS")})
    assert refused.status_code == 403
    made = (await client.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk")})).json()
    here, form = f"instances/{made['id']}", f"instances/{made['id']}/data/{made['data'][0]['id']}"
    assert (await client.get(form)).json() == {"alder": 18}
    assert (await client.patch(form, json=ops({"/alder": 200}))).status_code == 400
    saved = (await client.patch(form, json=ops({"/alder": 3, "/barn": [{"alder": 2, "navn": "Per"}]}))).json()
    assert saved["newDataModel"]["sum"] == 2
    assert [issue["code"] for issue in saved["validationIssues"]["aldersgrense"]] == ["for.ung"]
    await client.patch(form, json=ops({"/alder": 30, "/navn": "Kari"}))
    assert (await client.get(form)).json()["epost"] == "kari@example.no"
    headers = {"content-type": "application/pdf", "content-disposition": "attachment; filename=a.pdf"}
    assert (await client.post(f"{here}/data/vedlegg", content=b"MZ", headers=headers)).status_code == 400
    assert [i["source"] for i in (await client.get(f"{here}/validate")).json()] == ["vedlegg-mangler"]
    assert (await client.post(f"{here}/data/vedlegg", content=b"%PDF", headers=headers)).status_code == 200
    assert (await client.get("api/options/bydeler")).json()[0]["value"] == "nes"
    assert (await client.get("api/datalists/folk")).json()["listItems"] == [{"navn": "Kari"}]
    assert (await client.get(f"{here}/api/external/vaer")).json() == {"grader": 4}
    assert (await client.post(f"{here}/actions", json={"action": "beregn"})).json()["clientActions"][0][
        "id"
    ] == "nextPage"
    assert (await client.put(f"{here}/process/next")).json()["ended"] is not None
    assert (await client.get(form)).json()["epost"] == "sendt@example.no"


async def test_the_how_to_samples_run(stage, builder, ops) -> None:
    from havn.cli.models import generate

    guide = PAGE.parents[1] / "how-to" / "write-rules-in-python.md"
    [sample] = re.findall(r"```python\n(.*?)```", guide.read_text(), re.DOTALL)
    builder.hooks = sample
    builder.texts["barn.for-gammelt"] = "For gammelt"
    folder = builder.write()
    generate(folder)
    app = await stage.deploy(folder)
    client = await app.client("Sindig Bjørk")
    made = (await client.post("instances", params={"instanceOwnerPartyId": app.party("Sindig Bjørk")})).json()
    form = f"instances/{made['id']}/data/{made['data'][0]['id']}"
    saved = (await client.patch(form, json=ops({"/barn": [{"alder": 2}, {"alder": 18}]}))).json()
    assert saved["newDataModel"]["sum"] == 20
    assert [issue["field"] for issue in saved["validationIssues"]["barnas-alder"]] == ["barn[1].alder"]
