"""What an app's Helm values ask for, in the words of charts/app, and what is refused in them."""

from __future__ import annotations

import pytest
import yaml

from havn.appfolder.chart import chart_values
from havn.appfolder.deployment import HelmValues

ALTINN = """
deployment:
  replicaCount: 3
  autoscaling:
    enabled: true
    replicas: {min: 3, max: 12}
    avgCpuUtilization: 60
    behavior:
      scaleUp: {stabilizationWindowSeconds: 0, policies: [{type: Pods, value: 2, periodSeconds: 15}]}
      scaleDown: {stabilizationWindowSeconds: 600, selectPolicy: Min}
  resources:
    requests: {cpu: 300m, memory: 1Gi}
  image:
    environment:
      - {name: GeneralSettings__Mode, value: full}
      - {name: LIMIT, value: 5}
      - {name: DEBUG, value: false}
  readiness: {enabled: true, path: /health, initialDelaySeconds: 30, periodSeconds: 3}
  liveness: {enabled: false, periodSeconds: 9}
  podAnnotations: {example.no/team: Team Blå}
  podLabels: {tier: front}
  terminationGracePeriodSeconds: 60
  linkerd: {enabled: true}
"""


def read(text: str):
    return chart_values(HelmValues(raw=yaml.safe_load(text) or {}))


def test_scaling_resources_environment_probes_and_annotations_are_carried_over():
    found = read(ALTINN)
    assert found.faults == ()
    assert found.environment == {"GeneralSettings__Mode": "full", "LIMIT": "5", "DEBUG": "false"}
    assert found.chart == {
        "replicas": 3,
        "autoscaling": {
            "enabled": True,
            "minReplicas": 3,
            "maxReplicas": 12,
            "targetCPUUtilizationPercentage": 60,
            "behavior": {
                "scaleUp": {
                    "stabilizationWindowSeconds": 0,
                    "policies": [{"type": "Pods", "value": 2, "periodSeconds": 15}],
                },
                "scaleDown": {"stabilizationWindowSeconds": 600, "selectPolicy": "Min"},
            },
        },
        "resources": {"requests": {"cpu": "300m", "memory": "1Gi"}, "limits": {"memory": None}},
        "probes": {"readiness": {"initialDelaySeconds": 30, "periodSeconds": 3}},
        "podAnnotations": {"example.no/team": "Team Blå"},
        "podLabels": {"tier": "front"},
        "terminationGracePeriodSeconds": 60,
    }


def test_the_older_shape_of_behaviour_and_values_without_the_charts_key_are_read():
    found = read("autoscaling: {behavior: {stabilizationWindowSeconds: {scaleUp: 0, scaleDown: 120}}}")
    assert found.chart["autoscaling"]["behavior"]["scaleDown"] == {"stabilizationWindowSeconds": 120}


def test_an_empty_file_asks_for_nothing():
    assert (read("").chart, read("deployment:").environment) == ({}, {})


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("replicaCount: many", ("replicaCount",)),
        ("replicaCount: true", ("replicaCount",)),
        ("autoscaling: on purpose", ("autoscaling",)),
        ("autoscaling: {enabled: 1}", ("autoscaling", "enabled")),
        ("autoscaling: {replicas: {min: 4, max: 2}}", ("autoscaling", "replicas", "max")),
        ("autoscaling: {avgCpuUtilization: 170}", ("autoscaling", "avgCpuUtilization")),
        ("autoscaling: {behavior: {scaleUp: {policies: [{type: All}]}}}",
         ("autoscaling", "behavior", "scaleUp", "policies", 0)),
        ("autoscaling: {behavior: {scaleUp: {selectPolicy: Best}}}",
         ("autoscaling", "behavior", "scaleUp", "selectPolicy")),
        ("resources: {requests: {cpu: fast}}", ("resources", "requests", "cpu")),
        ("image: {environment: {A: b}}", ("image", "environment")),
        ("image: {environment: [{name: HAVN_DOMAIN, value: x}]}", ("image", "environment", 0)),
        ("image: {environment: [{name: 'A B', value: x}]}", ("image", "environment", 0)),
        ("readiness: {path: /ready}", ("readiness", "path")),
        ("liveness: {periodSeconds: 0}", ("liveness", "periodSeconds")),
        ("podLabels: {a: 'no spaces'}", ("podLabels", "a")),
        ("podLabels: {app.kubernetes.io/name: other}", ("podLabels", "app.kubernetes.io/name")),
        ("podAnnotations: [a]", ("podAnnotations",)),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_named_and_left_out(text, path):
    found = read(text)
    assert [fault.path for fault in found.faults] == [path]
    assert found.environment == {}
