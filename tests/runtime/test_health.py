"""`/health`, which probes, load balancers and rollouts ask."""

from __future__ import annotations

RELEASE = "sha256:" + "ab" * 32


async def test_an_app_says_that_it_lives_and_in_json_which_release_it_is(stage, builder) -> None:
    app = await stage.deploy(builder.write(), release=RELEASE)
    anybody = await app.client()
    answer = await anybody.get("health")
    assert (answer.status_code, answer.text, answer.headers["vary"]) == (200, "Healthy", "Accept")
    answer = await anybody.get("health", headers={"accept": "application/health+json"})
    assert answer.headers["content-type"] == "application/health+json"
    assert answer.json() == {"status": "pass", "releaseId": RELEASE}
