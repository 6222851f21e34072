"""What goes wrong on the way ends in a clear state and a sentence, and the next deploy works."""

from __future__ import annotations

import asyncio
import shutil

from havn.contracts.deploy import Deployment, DeployRequest


def blobs(rig, app: str = "first"):
    return rig.folder / "registry" / "ttd" / app


async def test_a_registry_that_is_away_is_told_and_the_next_deploy_works(story):
    first, second = await story.rig.release(1), await story.rig.release(2)
    await story.deploy(first)
    shutil.move(story.rig.folder / "registry", story.rig.folder / "away")
    failed = (await story.deploy(second)).deployment
    assert failed.status == "failed"
    assert failed.reason
    info = await story.client().app("tt02", "ttd", "first")
    assert (info.release, info.ready) == (first, 1)
    shutil.rmtree(story.rig.folder / "registry", ignore_errors=True)
    shutil.move(story.rig.folder / "away", story.rig.folder / "registry")
    assert (await story.deploy(second)).deployment.status == "succeeded"


async def test_a_release_that_was_tampered_with_is_refused_and_what_ran_runs_on(story):
    first = await story.rig.release(1)
    await story.deploy(first)
    second = await story.rig.release(2)
    place = next(path for path in (story.rig.folder / "registry").rglob(second.removeprefix("sha256:")))
    content = place.read_bytes()
    place.chmod(0o644)
    place.write_bytes(content.replace(b"ttd", b"nav"))
    failed = (await story.deploy(second)).deployment
    assert failed.status == "failed"
    assert "damaged" in failed.reason or "digest" in failed.reason, failed.reason
    info = await story.client().app("tt02", "ttd", "first")
    assert (info.release, info.ready) == (first, 1)
    place.write_bytes(content)
    assert (await story.deploy(second)).deployment.status == "succeeded"


async def test_a_release_signed_by_somebody_else_is_refused(story):
    from havn.appfolder.ids import AppId
    from havn.deploy.registry.layout import LayoutRegistry
    from havn.deploy.release.build import build
    from havn.deploy.release.signing import SigningKey

    await story.rig.release(1)
    built = await build(
        story.rig.folder / "apps" / "first-1",
        AppId("ttd", "first"),
        registry=LayoutRegistry(story.rig.folder / "other"),
        key=SigningKey(SigningKey.generate()),
        cache=story.rig.folder / "cache",
    )
    shutil.rmtree(story.rig.folder / "registry")
    shutil.move(story.rig.folder / "other", story.rig.folder / "registry")
    failed = (await story.deploy(built.release.digest)).deployment
    assert failed.status == "failed"
    assert "sign" in failed.reason
    assert await story.client().apps() == []


async def test_two_who_deploy_at_once_take_turns_and_the_later_wins(story):
    releases = [await story.rig.release(number) for number in (1, 2)]
    asked = await asyncio.gather(
        *(
            story.client().deploy(DeployRequest(environment="tt02", org="ttd", app="first", release=release))
            for release in releases
        )
    )
    first, second = sorted((each for each in asked if isinstance(each, Deployment)), key=lambda each: each.revision)
    ended = [await story.end(each) for each in (first, second)]
    assert [each.deployment.status for each in ended] == ["succeeded", "succeeded"]
    # The second began when the first had ended.
    assert ended[1].events[0].at >= ended[0].deployment.finished
    info = await story.client().app("tt02", "ttd", "first")
    assert (info.release, info.ready, len(info.actual)) == (second.release, 1, 1)


async def test_a_release_that_crashes_tells_its_last_words_and_what_only_it_had_published_is_withdrawn(story):
    first = await story.rig.release(1)
    await story.deploy(first)

    def sami(source) -> None:
        texts = source / "config/texts"
        (texts / "resource.se.json").write_text((texts / "resource.en.json").read_text().replace('"en"', '"se"'))

    broken = await story.rig.release(2, hooks="raise RuntimeError('broken on purpose')\n", edit=sami)
    ended = await story.deploy(broken)
    assert ended.deployment.status == "failed"
    assert "broken on purpose" in ended.deployment.reason
    assert any(each.message.endswith("is in place as before.") for each in ended.events)
    found = story.rig.platform.call("platform", "GET", "/storage/api/v1/applications/ttd/first")
    assert found.json()["versionId"] == first
    token = story.rig.platform.token()
    said = story.rig.platform.call(
        "platform", "GET", "/storage/api/v1/applications/ttd/first/texts/se",
        headers={"authorization": f"Bearer {token}"},
    )  # fmt: skip
    assert said.status_code == 404
    assert (await story.client().app("tt02", "ttd", "first")).release == first
