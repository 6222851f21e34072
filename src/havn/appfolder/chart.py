"""What `deployment/values.yaml` asks of the app's Deployment, in the words of `charts/app`.

The file is that of an app made in Altinn Studio: values of its Helm chart `deployment`. Scaling, resources,
environment, probes, annotations and labels are honoured; what else the file may hold is Havn's own to decide.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from havn.appfolder.deployment import HelmValues

Path = tuple[str | int, ...]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_QUANTITY = re.compile(r"\d+(\.\d+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_RESERVED = "app.kubernetes.io/"
_PROBES = ("startup", "readiness", "liveness")
_MAX_REPLICAS = 100


class Fault(msgspec.Struct, frozen=True):
    """A value that cannot be used: where it stands below the chart's own key, and why."""

    path: Path
    message: str
    ignored: bool = False
    """Whether the app runs without it all the same."""


class ChartValues(msgspec.Struct, frozen=True, kw_only=True):
    """What the app asks for; empty where its file says nothing."""

    chart: Mapping[str, Any] = {}
    """Values of `charts/app`."""
    environment: Mapping[str, str] = {}
    """Environment variables of the app's processes, wherever they run."""
    faults: tuple[Fault, ...] = ()


def chart_values(values: HelmValues) -> ChartValues:
    """Translate the values; what is wrong is left out and told in `faults`."""
    reading = _Reading()
    found = values.deployment
    chart: dict[str, Any] = {}
    if (count := reading.number(found, ("replicaCount",), 0, _MAX_REPLICAS)) is not None:
        chart["replicas"] = count
    if scaling := _scaling(reading, found):
        chart["autoscaling"] = scaling
    if resources := _resources(reading, found):
        chart["resources"] = resources
    probes = {kind: probe for kind in _PROBES if (probe := _probe(reading, found, kind))}
    if probes:
        chart["probes"] = probes
    if (grace := reading.number(found, ("terminationGracePeriodSeconds",), 1, 3600)) is not None:
        chart["terminationGracePeriodSeconds"] = grace
    for name in ("podAnnotations", "podLabels"):
        if words := _words(reading, found, name):
            chart[name] = words
    return ChartValues(chart=chart, environment=_environment(reading, found), faults=tuple(reading.faults))


class _Reading:
    """Looks values up by path and collects what is wrong."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def fault(self, path: Path, message: str, *, ignored: bool = False) -> None:
        if all(fault.path != path for fault in self.faults):
            self.faults.append(Fault(path, message, ignored))

    def look(self, found: Mapping[str, Any], path: Path) -> Any:
        here: Any = found
        for index, name in enumerate(path):
            if here is None:
                return None
            if not isinstance(here, Mapping):
                self.fault(path[:index], f"{path[index - 1]} has values of its own.")
                return None
            here = here.get(name)
        return here

    def mapping(self, found: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
        value = self.look(found, path)
        if value is None or isinstance(value, Mapping):
            return value or {}
        self.fault(path, f"{path[-1]} has values of its own.")
        return {}

    def number(self, found: Mapping[str, Any], path: Path, least: int, most: int) -> int | None:
        value = self.look(found, path)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.fault(path, f"{path[-1]} is a whole number from {least} to {most}.")
            return None
        return value

    def flag(self, found: Mapping[str, Any], path: Path) -> bool | None:
        value = self.look(found, path)
        if value is None or isinstance(value, bool):
            return value
        self.fault(path, f"{path[-1]} is true or false.")
        return None


def _scaling(reading: _Reading, found: Mapping[str, Any]) -> dict[str, Any]:
    names = {
        ("autoscaling", "replicas", "min"): ("minReplicas", 1, _MAX_REPLICAS),
        ("autoscaling", "replicas", "max"): ("maxReplicas", 1, _MAX_REPLICAS),
        ("autoscaling", "avgCpuUtilization"): ("targetCPUUtilizationPercentage", 1, 100),
    }
    made: dict[str, Any] = {}
    if (enabled := reading.flag(found, ("autoscaling", "enabled"))) is not None:
        made["enabled"] = enabled
    for path, (name, least, most) in names.items():
        if (value := reading.number(found, path, least, most)) is not None:
            made[name] = value
    if made.get("minReplicas", 1) > made.get("maxReplicas", _MAX_REPLICAS):
        reading.fault(("autoscaling", "replicas", "max"), "max is not less than min.")
        del made["maxReplicas"]
    if behavior := _behavior(reading, found):
        made["behavior"] = behavior
    return made


def _behavior(reading: _Reading, found: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for way in ("scaleUp", "scaleDown"):
        at: Path = ("autoscaling", "behavior", way)
        rules: dict[str, Any] = {}
        # The chart's older versions turned the two names round.
        older: Path = ("autoscaling", "behavior", "stabilizationWindowSeconds", way)
        for path in ((*at, "stabilizationWindowSeconds"), older):
            if (window := reading.number(found, path, 0, 3600)) is not None:
                rules["stabilizationWindowSeconds"] = window
        select = reading.look(found, (*at, "selectPolicy"))
        if select in ("Max", "Min", "Disabled"):
            rules["selectPolicy"] = select
        elif select is not None:
            reading.fault((*at, "selectPolicy"), "selectPolicy is Max, Min or Disabled.")
        policies = reading.look(found, (*at, "policies"))
        if isinstance(policies, list):
            read = [_policy(reading, policy, (*at, "policies", index)) for index, policy in enumerate(policies)]
            rules["policies"] = [policy for policy in read if policy is not None]
        elif policies is not None:
            reading.fault((*at, "policies"), "policies is a list.")
        if rules:
            made[way] = rules
    return made


def _policy(reading: _Reading, value: Any, at: Path) -> dict[str, Any] | None:
    known = isinstance(value, Mapping) and value.get("type") in ("Pods", "Percent")
    numbers = [value.get(name) for name in ("value", "periodSeconds")] if known else []
    if not known or not all(isinstance(each, int) and not isinstance(each, bool) and each > 0 for each in numbers):
        reading.fault(at, "A policy has a type, Pods or Percent, and a value and periodSeconds above 0.")
        return None
    return {"type": value["type"], "value": numbers[0], "periodSeconds": numbers[1]}


def _resources(reading: _Reading, found: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for kind in ("requests", "limits"):
        read: dict[str, Any] = {}
        for name in ("cpu", "memory"):
            value = reading.look(found, ("resources", kind, name))
            if value is None:
                continue
            text = str(value)
            if isinstance(value, bool) or not _QUANTITY.fullmatch(text):
                reading.fault(("resources", kind, name), f"{name} is a quantity, such as 250m or 256Mi.")
            else:
                read[name] = text
        if read:
            made[kind] = read
    if "memory" in made.get("requests", {}) and "memory" not in made.get("limits", {}):
        # The chart's own limit may be below what is asked for, and Altinn's chart has none.
        made.setdefault("limits", {})["memory"] = None
    return made


def _probe(reading: _Reading, found: Mapping[str, Any], kind: str) -> dict[str, int]:
    if reading.flag(found, (kind, "enabled")) is False:
        # Havn's own probe stays: an app that nobody asks is one that nobody misses.
        return {}
    path = reading.look(found, (kind, "path"))
    if path not in (None, "/health"):
        reading.fault((kind, "path"), "Every app is asked at /health.", ignored=True)
    made = {}
    for name, least in (
        ("initialDelaySeconds", 0), ("periodSeconds", 1), ("timeoutSeconds", 1), ("failureThreshold", 1),
    ):  # fmt: skip
        if (value := reading.number(found, (kind, name), least, 3600)) is not None:
            made[name] = value
    return made


def _words(reading: _Reading, found: Mapping[str, Any], kind: str) -> dict[str, str]:
    made = {}
    for name, value in reading.mapping(found, (kind,)).items():
        text = str(value).lower() if isinstance(value, bool) else str(value)
        usable = bool(_LABEL_KEY.fullmatch(str(name))) and not isinstance(value, Mapping | list | None)
        usable = usable and (kind == "podAnnotations" or bool(_LABEL_VALUE.fullmatch(text)))
        if str(name).startswith(_RESERVED):
            reading.fault((kind, name), f"Names that begin with {_RESERVED} are set by Havn.")
        elif not usable:
            reading.fault((kind, name), "Kubernetes does not take this name or value.")
        else:
            made[str(name)] = text
    return made


def _environment(reading: _Reading, found: Mapping[str, Any]) -> dict[str, str]:
    given = reading.look(found, ("image", "environment"))
    if given is None:
        return {}
    if not isinstance(given, list):
        reading.fault(("image", "environment"), "environment is a list of names and values.")
        return {}
    made = {}
    for index, entry in enumerate(given):
        at: Path = ("image", "environment", index)
        name = entry.get("name") if isinstance(entry, Mapping) else None
        value = entry.get("value") if isinstance(entry, Mapping) else None
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name) or isinstance(value, Mapping | list):
            reading.fault(at, "An environment variable has a name and a value.")
        elif name.upper().startswith("HAVN_"):
            reading.fault(at, f"{name} is not an app's to set: names that begin with HAVN_ are Havn's own.")
        else:
            made[name] = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return made
