"""What a deploy would change, and whom it would strand: told beforehand, refused, mapped, or left knowingly."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from havn.contracts.deploy import Deployment, DeployRequest
from havn.kit.problem import Problem

RENAMED = {"Task_1": "Task_A"}


def other_rules(source: Path) -> None:
    """Another file, another policy, outbound rules, a setting, a value."""
    policy = source / "config/authorization/policy.xml"
    policy.write_text(policy.read_text().replace(">write<", ">inspect<"))
    (source / "logic/more.py").write_text("ANSWER = 42\n")
    (source / "appsettings.json").write_text(json.dumps({"AppSettings": {"RemoveHiddenData": True}}))
    (source / "deployment").mkdir(exist_ok=True)
    (source / "deployment/egress.yaml").write_text("allow:\n  - host: api.example.no\n    reason: rates\n")
    (source / "deployment/values.yaml").write_text("deployment: {replicaCount: 3}\n")


async def test_a_diff_tells_every_kind_of_change_and_changes_nothing(story):
    first = await story.rig.release(1)
    assert (await story.deploy(first)).deployment.status == "succeeded"
    second = await story.rig.release(2, edit=other_rules)
    found = await story.client("per").difference("tt02", "ttd", "first", second, text=True)
    assert (found.before, found.after, found.same) == (first, second, False)
    files = {each.path: each for each in found.files}
    assert files["app/logic/more.py"].change == "added"
    assert files["app/logic/more.py"].after == len("ANSWER = 42\n")
    assert "+ANSWER = 42" in files["app/logic/more.py"].text
    assert files["app/config/texts/resource.en.json"].change == "changed"
    assert {each.action for each in found.policy.rights if each.change == "gained"} == {"inspect"}
    assert {each.action for each in found.policy.rights if each.change == "lost"} == {"write"}
    assert [(each.place, each.before, each.after) for each in found.values] == [("deployment.replicaCount", None, 3)]
    assert ("AppSettings.RemoveHiddenData", None, True) in [
        (each.place, each.before, each.after) for each in found.settings
    ]
    assert any(each.after == "api.example.no" for each in found.egress)
    assert ("title.en", "Version 1", "Version 2") in [(each.place, each.before, each.after) for each in found.metadata]
    assert [each for each in found.texts if each.place.startswith("en.")]
    assert found.process == []
    assert (await story.client().app("tt02", "ttd", "first")).release == first
    assert (await story.client().difference("tt02", "ttd", "first", first)).same


async def test_a_release_that_is_not_there_is_told(story):
    with pytest.raises(Problem) as caught:
        await story.client().difference("tt02", "ttd", "first", f"sha256:{'0' * 64}")
    assert (caught.value.status, caught.value.code) == (404, "unknown_release")


async def test_a_task_that_goes_strands_its_instances_until_they_are_mapped(story):
    await story.deploy(await story.rig.release(1, app="second"), app="second")
    stands = [story.rig.instance("second") for _ in range(3)]
    release = await story.rig.release(2, app="second", words=RENAMED)
    found = await story.client().difference("tt02", "ttd", "second", release)
    assert [(each.what, each.id, each.count) for each in found.stranded] == [("task", "Task_1", 3)]
    assert set(found.stranded[0].sample) == set(stands)
    assert any(each.place.startswith("elements.Task_A") for each in found.process)

    request = DeployRequest(environment="tt02", org="ttd", app="second", release=release)
    with pytest.raises(Problem) as caught:
        await story.client().deploy(request)
    assert (caught.value.status, caught.value.code) == (409, "strands_instances")
    assert "3 open instances in the task Task_1" in caught.value.detail
    assert caught.value.extensions["stranded"][0]["count"] == 3
    with pytest.raises(Problem) as caught:
        await story.deploy(release, app="second", mapping={"Task_1": "Task_Z"})
    assert caught.value.code == "unknown_task"

    ended = await story.deploy(release, app="second", mapping={"Task_1": "Task_A"})
    assert ended.deployment.status == "succeeded"
    assert "Moved 3 open instances from Task_1 to Task_A." in [each.message for each in ended.events]
    assert {story.rig.task(each) for each in stands} == {"Task_A"}
    [entry] = [each for each in await story.client().audit(org="ttd") if each.after and "mapping" in each.after]
    assert entry.after["mapping"] == {"Task_1": "Task_A"}

    # Back again they need a place too.
    with pytest.raises(Problem, match="no place for 3 open instances"):
        await story.client().rollback("tt02", "ttd", "second", None)
    back = await story.client().rollback("tt02", "ttd", "second", None, mapping={"Task_A": "Task_1"})
    assert (await story.end(back)).deployment.status == "succeeded"
    assert {story.rig.task(each) for each in stands} == {"Task_1"}


async def test_instances_are_left_where_they_are_when_somebody_says_so(story):
    await story.deploy(await story.rig.release(1, app="third"), app="third")
    stands = story.rig.instance("third")
    release = await story.rig.release(2, app="third", words=RENAMED)
    assert (await story.deploy(release, app="third", strand=True)).deployment.status == "succeeded"
    assert story.rig.task(stands) == "Task_1"


async def test_instances_that_come_between_the_question_and_the_deployment_are_seen(story):
    """The deployment looks again, whatever was known when it was asked for."""
    from datetime import UTC, datetime

    from havn.deploy.store import Target, Wanted

    await story.deploy(await story.rig.release(1, app="fourth"), app="fourth")
    stands = story.rig.instance("fourth")
    release = await story.rig.release(2, app="fourth", words=RENAMED)
    wanted = Wanted(
        target=Target("tt02", "ttd", "fourth"), kind="deploy", release=release, replicas=1, who="kari", address=""
    )
    asked = await story.plane.store.request(wanted, datetime.now(UTC))
    assert isinstance(asked, Deployment)
    ended = await story.end(asked)
    assert ended.deployment.status == "failed"
    assert "1 open instance in the task Task_1" in ended.deployment.reason
    assert story.rig.task(stands) == "Task_1"


RED = "- name: nobody writes\n  given: {roles: [dagl], task: Task_1}\n  deny: [write]\n"


async def test_a_release_whose_policy_fails_its_own_cases_is_not_deployed(story):
    """Refused when it is asked for, and by the deployment itself, whatever was known then."""
    from datetime import UTC, datetime

    from havn.deploy.store import Target, Wanted

    def beside(text: str):
        return lambda source: (source / "config/authorization/policy.test.yaml").write_text(text)

    first = await story.rig.release(1, app="fifth", edit=beside(RED.replace("deny", "allow")))
    assert (await story.deploy(first, app="fifth")).deployment.status == "succeeded"

    red = await story.rig.release(2, app="fifth", edit=beside(RED))
    with pytest.raises(Problem) as caught:
        await story.deploy(red, app="fifth")
    assert (caught.value.status, caught.value.code) == (409, "policy_cases_fail")
    assert "Case 1 (nobody writes) fails: 'write' should be refused" in caught.value.detail
    (finding,) = caught.value.extensions["findings"]
    assert (finding["file"], finding["line"]) == ("config/authorization/policy.test.yaml", 3)

    broken = await story.rig.release(3, app="fifth", edit=beside("cases: [\n"))
    with pytest.raises(Problem, match="not YAML") as caught:
        await story.deploy(broken, app="fifth")
    assert caught.value.extensions["findings"][0]["code"] == "yaml.syntax"

    wanted = Wanted(
        target=Target("tt02", "ttd", "fifth"), kind="deploy", release=red, replicas=1, who="kari", address=""
    )
    asked = await story.plane.store.request(wanted, datetime.now(UTC))
    ended = await story.end(asked)
    assert ended.deployment.status == "failed"
    assert "nobody writes" in ended.deployment.reason
    assert (await story.client().app("tt02", "ttd", "fifth")).release == first

    # What has run before may run again, and what runs may be deployed anew: neither is asked.
    back = await story.plane.store.request(msgspec.structs.replace(wanted, kind="rollback"), datetime.now(UTC))
    assert (await story.end(back)).deployment.status == "succeeded"
    assert (await story.deploy(red, app="fifth")).deployment.status == "succeeded"
