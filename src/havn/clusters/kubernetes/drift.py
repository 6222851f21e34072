"""What someone has changed by hand: the objects that Helm rendered, compared with those that are in the cluster.

Every field that we set must still have our value. Fields that we leave to the cluster (defaults, status) are not looked
at; parts added to a list that we set (another environment variable, another rule) are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from havn.clusters.port import ClusterError

Object = Mapping[str, Any]

_PLURALS = {"networkpolicy": "networkpolicies"}
# What names a part of a list, in the order tried.
_NAMES = ("mountPath", "name", "topologyKey", "port")
_SUFFIXES = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12,
             "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}  # fmt: skip
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(m|[kMGT]i?|Ki)?")
_QUANTITIES = re.compile(r"\.(requests|limits)\.|\.sizeLimit$")
_MISSING = object()
_SAME = object()


def read(manifest: str) -> list[Object]:
    """The objects of what Helm has rendered."""
    try:
        documents = list(yaml.load_all(manifest, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    except yaml.YAMLError as error:
        raise ClusterError("What Helm has rendered cannot be read.") from error
    return [each for each in documents if isinstance(each, Mapping) and "kind" in each]


def place(wanted: Object) -> tuple[str, str, str]:
    """API version, plural kind and name under which the API server has the object."""
    kind = str(wanted["kind"]).lower()
    return str(wanted["apiVersion"]), _PLURALS.get(kind, f"{kind}s"), str(wanted["metadata"]["name"])


def bounded(wanted: Sequence[Object], replicas: int) -> list[Object]:
    """The objects with the number of replicas that was asked for since Helm rendered them."""
    scaled = any(each["kind"] == "HorizontalPodAutoscaler" for each in wanted)
    return [_bounded(each, replicas, scaled=scaled) for each in wanted]


def _bounded(wanted: Object, replicas: int, *, scaled: bool) -> Object:
    spec: Object = wanted.get("spec") or {}
    if wanted["kind"] == "HorizontalPodAutoscaler" and replicas:
        return {**wanted, "spec": {**spec, "minReplicas": replicas, "maxReplicas": max(replicas, spec["maxReplicas"])}}
    if wanted["kind"] == "Deployment" and not (scaled and replicas):
        return {**wanted, "spec": {**spec, "replicas": replicas}}
    return wanted


def sentences(wanted: Object, live: Object | None) -> list[str]:
    """What is not as it was put there."""
    name = f"{wanted['kind']} {wanted['metadata']['name']}"
    if live is None:
        return [f"The {name} is gone: somebody has deleted it."]
    found = []
    for path, ours, theirs in _differences(wanted, live, ""):
        if path == "spec.replicas":
            found.append(f"The {name} was scaled by hand to {theirs} replicas and should have {ours}.")
        elif ours is _MISSING:
            found.append(f"The {name} was changed by hand: {path} was added.")
        elif theirs is _MISSING:
            found.append(f"The {name} was changed by hand: {path} was removed and should be {_shown(ours)}.")
        else:
            found.append(f"The {name} was changed by hand: {path} is {_shown(theirs)} and should be {_shown(ours)}.")
    return found


def patch(wanted: Object, live: Object) -> Object | None:
    """The JSON merge patch (RFC 7396) that takes every change by hand back; None when there is none.

    Server-side apply alone does not: parts that others have put into our lists are theirs, and stay.
    """
    found = _patch(wanted, live)
    return None if found is _SAME else found


def _patch(ours: Any, theirs: Any) -> Any:
    if isinstance(ours, Mapping):
        inside = theirs if isinstance(theirs, Mapping) else {}
        parts = {name: _patch(value, inside.get(name, _MISSING)) for name, value in ours.items()}
        changed = {name: value for name, value in parts.items() if value is not _SAME}
        return changed or _SAME
    # A list is replaced as a whole; quantities are told by their place, which is lost here, so by their look.
    return ours if any(_differences(ours, theirs, ".requests.")) else _SAME


def _differences(ours: Any, theirs: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(ours, Mapping):
        if theirs is _MISSING and any(not _empty(each) for each in ours.values()):
            yield path, ours, theirs
            return
        inside = theirs if isinstance(theirs, Mapping) else {}
        for name, value in ours.items():
            yield from _differences(value, inside.get(name, _MISSING), f"{path}.{name}" if path else str(name))
    elif isinstance(ours, Sequence) and not isinstance(ours, str):
        there = theirs if isinstance(theirs, Sequence) and not isinstance(theirs, str) else []
        mine, others = _named(ours), _named(there)
        if mine.keys() == others.keys() or _by_name(ours):
            for name, value in mine.items():
                yield from _differences(value, others.get(name, _MISSING), f"{path}[{name}]")
            for name in others.keys() - mine.keys():
                yield f"{path}[{name}]", _MISSING, others[name]
        else:
            yield path, ours, theirs
    elif not _equal(ours, theirs, path):
        yield path, ours, theirs


def _equal(ours: Any, theirs: Any, path: str) -> bool:
    if theirs is _MISSING:
        return _empty(ours)
    if ours == theirs or str(ours) == str(theirs):
        return True
    if _QUANTITIES.search(path):
        amounts = _amount(ours), _amount(theirs)
        return None not in amounts and amounts[0] == amounts[1]
    return False


def _empty(value: Any) -> bool:
    """What the API server leaves out."""
    return value is None or value is False or value in ("", 0, [], {})


def _amount(value: Any) -> float | None:
    found = _QUANTITY.fullmatch(str(value))
    return None if found is None else round(float(found[1]) * _SUFFIXES[found[2] or ""], 6)


def _by_name(parts: Sequence[Any]) -> bool:
    return "0" not in _named(parts)


def _named(parts: Sequence[Any]) -> dict[str, Any]:
    """The parts by name, when they have different ones; by number otherwise."""
    for key in _NAMES:
        names = [str(each[key]) for each in parts if isinstance(each, Mapping) and key in each]
        if len(names) == len(parts) and len(set(names)) == len(names):
            return dict(zip(names, parts, strict=True))
    return {str(number): each for number, each in enumerate(parts)}


def _shown(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
