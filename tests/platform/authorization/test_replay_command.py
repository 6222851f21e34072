"""`havn policy replay` against the running API."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from havn.cli.policy import app

JSON = {"content-type": "application/json"}


@pytest.mark.usefixtures("published")
async def test_recorded_requests_are_replayed_from_the_command_line(
    platform, http, ask, make_policy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"urn:altinn:org": "ttd", "urn:altinn:app": "permit", "urn:altinn:partyid": "5101"}
    body = ask({"urn:altinn:userid": "1501"}, place, "read", "instantiate")
    headers = JSON | platform.component("storage")
    await http.request("POST", "/authorization/api/v1/decision", content=body, headers=headers)
    async with asyncio.timeout(10):
        while len(await platform.sql("select 1 from decision")) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    policy, token = tmp_path / "policy.xml", tmp_path / "token"
    narrower = make_policy.rule("readers", [("urn:altinn:rolecode", "dagl")], ["read"], about=("[ORG]", "[APP]"))
    policy.write_bytes(make_policy.policy(narrower))
    token.write_text(platform.owner()["Authorization"].removeprefix("Bearer "))
    capsys.readouterr()

    async def replay(*more: str) -> tuple[int, str, str]:
        arguments = ["replay", "ttd/permit", "--policy", str(policy), "--platform", platform.url]
        try:
            await asyncio.to_thread(app, [*arguments, *more], result_action="return_value")
            code = 0
        except SystemExit as stop:
            code = int(stop.code or 0)
        out = capsys.readouterr()
        lines = [line for line in out.out.splitlines() if "[info" not in line]
        return code, "\n".join(lines), out.err

    code, out, _ = await replay("--token-file", str(token))
    assert code == 1
    assert "Permit -> NotApplicable (once): instantiate by role dagl" in out
    code, out, _ = await replay("--token-file", str(token), "--json")
    assert json.loads(out)["counts"] == {"Permit -> NotApplicable": 1, "Permit -> Permit": 1}
    token.write_text(platform.owner("skd")["Authorization"].removeprefix("Bearer "))
    code, _, err = await replay("--token-file", str(token))
    assert code == 2
    assert "The platform refused" in err
