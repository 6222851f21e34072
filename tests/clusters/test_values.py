"""From a workload to the chart's values."""

from __future__ import annotations

import msgspec

from havn.clusters.kubernetes.values import Image, merged, values
from havn.clusters.port import Workload
from havn.contracts.deploy import Scaling

IMAGE = Image("registry.example.no/ttd/first", "sha256:" + "a" * 64)


def workload(**changes) -> Workload:
    return msgspec.structs.replace(
        Workload(app="first", release="sha256:" + "b" * 64, secrets={"platform-access-key": "planted"}), **changes
    )


def test_settings_that_the_chart_knows_become_its_values_and_others_environment_variables():
    made = values(
        {}, "ttd", workload(settings={"HAVN_DOMAIN": "x.no", "HAVN_PLATFORM_URL": "u", "OTHER": "1"}), IMAGE, ""
    )
    assert (made["domain"], made["platform"]["url"], made["environmentVariables"]) == ("x.no", "u", {"OTHER": "1"})


def test_the_clusters_own_values_stay_and_are_not_changed():
    site = {"platform": {"address": "10.0.0.1"}, "image": {"pullSecrets": ["registry"]}}
    made = values(site, "ttd", workload(settings={"HAVN_PLATFORM_URL": "u"}), IMAGE, "first-v1")
    assert made["platform"] == {"address": "10.0.0.1", "url": "u"}
    assert made["image"]["pullSecrets"] == ["registry"]
    assert site == {"platform": {"address": "10.0.0.1"}, "image": {"pullSecrets": ["registry"]}}


def test_a_secret_is_only_named():
    made = values({}, "ttd", workload(), IMAGE, "first-v1")
    assert made["existingSecret"] == "first-v1"
    assert b"planted" not in msgspec.json.encode(made)


def test_under_an_autoscaler_the_replicas_asked_for_are_the_least_and_none_turns_it_off():
    site = {"autoscaling": {"enabled": True, "maxReplicas": 4}}
    assert values(site, "ttd", workload(replicas=2), IMAGE, "")["autoscaling"]["minReplicas"] == 2
    assert values(site, "ttd", workload(replicas=9), IMAGE, "")["autoscaling"]["maxReplicas"] == 9
    assert values(site, "ttd", workload(replicas=0), IMAGE, "")["autoscaling"]["enabled"] is False
    assert values({}, "ttd", workload(replicas=2), IMAGE, "")["autoscaling"] == {"enabled": False}
    asked = {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 5}}
    assert values({}, "ttd", workload(replicas=1, chart=asked), IMAGE, "")["autoscaling"] == asked["autoscaling"]
    bounds = Scaling(minimum=1, maximum=2)
    operated = values({}, "ttd", workload(replicas=1, chart=asked, scaling=bounds), IMAGE, "")["autoscaling"]
    assert (operated["minReplicas"], operated["maxReplicas"]) == (1, 2)


def test_what_the_apps_folder_asks_for_goes_before_the_clusters_own_values():
    site = {"resources": {"requests": {"cpu": "10m"}, "limits": {"memory": "1Gi"}}}
    asked = {"resources": {"requests": {"cpu": "300m"}, "limits": {"memory": None}}, "podLabels": {"tier": "front"}}
    made = values(site, "ttd", workload(chart=asked), IMAGE, "")
    assert made["resources"] == {"requests": {"cpu": "300m"}, "limits": {"memory": None}}
    assert made["podLabels"] == {"tier": "front"}
    assert site["resources"]["requests"] == {"cpu": "10m"}


def test_a_secret_that_is_an_environment_variable_too_is_named_by_its_key():
    made = values(
        {}, "ttd", workload(secret_variables={"TOKEN": "token", "A": "platform-access-key"}), IMAGE, "first-v1"
    )
    assert made["secretsAsEnvironment"] == [
        {"name": "A", "key": "platform-access-key"},
        {"name": "TOKEN", "key": "token"},
    ]
    assert b"planted" not in msgspec.json.encode(made)


def test_values_are_laid_over_each_other():
    assert merged({"a": {"b": 1, "c": 2}}, {"a": {"c": 3}}, {"d": [1]}) == {"a": {"b": 1, "c": 3}, "d": [1]}
    assert merged({"a": {"b": 1}}, {"a": 2}) == {"a": 2}
    assert merged({"a": 2}, {"a": {"b": 1}}) == {"a": {"b": 1}}
    layer = {"a": {"b": {"c": 1}}}
    merged(layer)["a"]["b"].pop("c")
    assert layer == {"a": {"b": {"c": 1}}}
