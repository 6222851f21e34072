"""What someone has changed by hand, told from what Helm rendered and what is there."""

from __future__ import annotations

import copy

import pytest

from havn.clusters.kubernetes import drift

MANIFEST = """
---
# Source: app/templates/objects.yaml
apiVersion: v1
kind: ServiceAccount
metadata: {name: first, labels: {app.kubernetes.io/name: first}}
automountServiceAccountToken: false
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: first}
spec:
  policyTypes: [Ingress, Egress]
  egress:
    - ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: first}
spec:
  replicas: 2
  template:
    spec:
      terminationGracePeriodSeconds: 30
      containers:
        - name: app
          env: [{name: HAVN_APP, value: first}, {name: EMPTY, value: ""}]
          resources: {requests: {cpu: 0.9, memory: 1024Mi}}
"""
ACCOUNT, POLICY, DEPLOYMENT = drift.read(MANIFEST)


def live(wanted=DEPLOYMENT):
    """As the API server keeps it: with defaults, in its own spelling, without what is empty."""
    made = copy.deepcopy(wanted)
    made["status"] = {"replicas": 2}
    if made["kind"] == "Deployment":
        made["spec"]["revisionHistoryLimit"] = 10
        container = made["spec"]["template"]["spec"]["containers"][0]
        container["resources"] = {"requests": {"cpu": "900m", "memory": "1Gi"}}
        container["env"] = [{"name": "HAVN_APP", "value": "first"}, {"name": "EMPTY"}]
    return made


def test_defaults_and_other_spellings_are_no_drift():
    assert drift.sentences(DEPLOYMENT, live()) == []
    account = live(ACCOUNT)
    del account["automountServiceAccountToken"]
    assert drift.sentences(ACCOUNT, account) == []
    assert drift.sentences(POLICY, live(POLICY)) == []


def test_what_is_gone_is_named():
    assert drift.sentences(POLICY, None) == ["The NetworkPolicy first is gone: somebody has deleted it."]


def test_a_changed_field_is_named_with_both_values():
    changed = live()
    changed["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 99
    assert drift.sentences(DEPLOYMENT, changed) == [
        "The Deployment first was changed by hand: "
        "spec.template.spec.terminationGracePeriodSeconds is 99 and should be 30."
    ]


def test_scaling_by_hand_is_told_as_such_and_against_what_was_asked_for_last():
    changed = live()
    changed["spec"]["replicas"] = 5
    assert drift.sentences(DEPLOYMENT, changed) == [
        "The Deployment first was scaled by hand to 5 replicas and should have 2."
    ]
    [*_, asked] = drift.bounded([DEPLOYMENT], 5)
    assert drift.sentences(asked, changed) == []


def test_a_variable_added_or_removed_is_named():
    changed = live()
    env = changed["spec"]["template"]["spec"]["containers"][0]["env"]
    env[0] = {"name": "DEBUG", "value": "1"}
    place = "spec.template.spec.containers[app].env"
    found = drift.sentences(DEPLOYMENT, changed)
    assert f"The Deployment first was changed by hand: {place}[DEBUG] was added." in found
    assert any(f"{place}[HAVN_APP]" in each and "was removed" in each for each in found)


def test_another_rule_of_a_policy_is_seen():
    changed = live(POLICY)
    changed["spec"]["egress"].append({})
    [said] = drift.sentences(POLICY, changed)
    assert "spec.egress" in said


@pytest.mark.parametrize(("replicas", "asked"), [(3, (3, 3)), (1, (1, 2)), (0, None)])
def test_under_an_autoscaler_its_bounds_count_and_not_the_replicas(replicas, asked):
    scaler = {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "first"},
        "spec": {"minReplicas": 1, "maxReplicas": 2},
    }  # fmt: skip
    deployment = {**DEPLOYMENT, "spec": {"template": {}}}
    found = {each["kind"]: each["spec"] for each in drift.bounded([deployment, scaler], replicas)}
    bounds = found["HorizontalPodAutoscaler"]
    if asked is None:
        assert found["Deployment"]["replicas"] == 0
    else:
        assert (bounds["minReplicas"], bounds["maxReplicas"]) == asked
        assert "replicas" not in found["Deployment"]


def test_every_kind_of_the_chart_has_its_place():
    assert [drift.place(each) for each in (ACCOUNT, POLICY, DEPLOYMENT)] == [
        ("v1", "serviceaccounts", "first"),
        ("networking.k8s.io/v1", "networkpolicies", "first"),
        ("apps/v1", "deployments", "first"),
    ]


def test_what_was_changed_is_taken_back_lists_as_a_whole():
    assert drift.patch(DEPLOYMENT, live()) is None
    changed = live()
    changed["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 99
    changed["spec"]["template"]["spec"]["containers"][0]["env"].append({"name": "DEBUG", "value": "1"})
    spec = DEPLOYMENT["spec"]["template"]["spec"]
    assert drift.patch(DEPLOYMENT, changed) == {
        "spec": {"template": {"spec": {"terminationGracePeriodSeconds": 30, "containers": spec["containers"]}}}
    }
