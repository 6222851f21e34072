"""What is shut at an org's ingress: Traefik's objects for apps in maintenance, and for addresses that are kept out.

They stand beside those of `charts/cluster`, whose page answers for what is shut. Helm does not know them, so an upgrade
of the chart leaves them as they are; they are found again by their labels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote_plus

import msgspec

from havn.clusters.kubernetes import unknown
from havn.clusters.kubernetes.kube import Absent, Kube
from havn.clusters.kubernetes.objects import Metadata

_VERSION = "traefik.io/v1alpha1"
_LABELS = {"app.kubernetes.io/managed-by": "havn", "app.kubernetes.io/component": "shut"}
_BLOCKED = "havn-kept-out"
_RANGES_PER_RULE = 50


class Shut(msgspec.Struct, frozen=True, kw_only=True):
    """An app that answers 503 with a page: `message` is shown as it stands, `until` is when it is expected back."""

    app: str
    message: str = ""
    until: datetime | None = None


class Entrance(msgspec.Struct, frozen=True, kw_only=True):
    """Where people reach an org's apps in its cluster."""

    org: str
    host: str
    """Without port."""
    entry_point: str = "https"
    tls_secret: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: Metadata
    spec: dict[str, Any] = {}


async def put(kube: Kube, entrance: Entrance, closed: Sequence[Shut], networks: Collection[str]) -> None:
    """Have exactly these shut; Traefik follows within seconds. Raises `ClusterError`."""
    page = await unknown.backend(kube)
    wanted = {(each["kind"], each["metadata"]["name"]): each for each in objects(entrance, closed, networks, page)}
    # What is named is there before who names it, and leaves after it.
    for kind, plural in (("Middleware", "middlewares"), ("IngressRoute", "ingressroutes")):
        for (of, name), body in wanted.items():
            if of == kind:
                await kube.own(_VERSION, f"{plural}/{name}", body)
    for kind, plural in (("IngressRoute", "ingressroutes"), ("Middleware", "middlewares")):
        for found in await kube.list(_VERSION, plural, _Object, labels=_LABELS):
            if (kind, found.metadata.name) not in wanted:
                await kube.delete(_VERSION, plural, found.metadata.name)


async def lead_on(kube: Kube) -> None:
    """Have the routes of what is shut lead to the page by what it speaks from now on. Raises `ClusterError`."""
    services = [await unknown.backend(kube)]
    for found in await kube.list(_VERSION, "ingressroutes", _Object, labels=_LABELS):
        routes = found.spec.get("routes", [])
        if any(route.get("services") != services for route in routes):
            spec = {**found.spec, "routes": [{**route, "services": services} for route in routes]}
            metadata = {"name": found.metadata.name, "labels": found.metadata.labels}
            body = {"apiVersion": _VERSION, "kind": "IngressRoute", "metadata": metadata, "spec": spec}
            await kube.own(_VERSION, f"ingressroutes/{found.metadata.name}", body)


async def clear(kube: Kube) -> None:
    """Take all of it away, also from a cluster that has no Traefik any more. Raises `ClusterError`."""
    for plural in ("ingressroutes", "middlewares"):
        try:
            there = await kube.list(_VERSION, plural, _Object, labels=_LABELS)
        except Absent:
            continue
        for found in there:
            await kube.delete(_VERSION, plural, found.metadata.name)


def objects(
    entrance: Entrance, closed: Sequence[Shut], networks: Collection[str], page: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """The objects that shut these; `page` is where their routes lead."""
    org, host = entrance.org, f"Host(`{entrance.host}`)"
    for each in closed:
        name, app = f"havn-closed-{each.app}", each.app
        yield _says(
            entrance,
            name,
            {
                "X-Havn-Answer": "maintenance",
                "X-Havn-Name": f"{org}/{app}",
                # Escaped: a header field holds no letters beyond ASCII. An empty one takes the client's own away.
                "X-Havn-Message": quote_plus(each.message),
                "X-Havn-Until": each.until.isoformat() if each.until is not None else "",
            },
        )
        paths = " || ".join(f"Path(`{path}`) || PathPrefix(`{path}/`)" for path in (f"/{app}", f"/{org}/{app}"))
        # Not its health address, by which a rollout is followed.
        health = f"!Path(`/{app}/health`) && !Path(`/{org}/{app}/health`)"
        yield _route(entrance, name, [f"{host} && ({paths}) && {health}"], 100_000, page)
    if networks:
        yield _says(entrance, _BLOCKED, {"X-Havn-Answer": "blocked"})
        rules = [
            f"{host} && ({' || '.join(f'ClientIP(`{each}`)' for each in some)})"
            for some in _some(sorted(networks), _RANGES_PER_RULE)
        ]
        yield _route(entrance, _BLOCKED, rules, 200_000, page)


def _some(items: Sequence[str], count: int) -> Iterator[Sequence[str]]:
    for first in range(0, len(items), count):
        yield items[first : first + count]


def _says(entrance: Entrance, name: str, fields: Mapping[str, str]) -> dict[str, Any]:
    spec = {"headers": {"customRequestHeaders": dict(fields)}}
    return _object("Middleware", entrance, name, spec)


def _route(
    entrance: Entrance, name: str, rules: Sequence[str], priority: int, page: Mapping[str, Any]
) -> dict[str, Any]:
    routes = [
        {
            "kind": "Rule",
            "match": rule,
            "priority": priority,
            "middlewares": [{"name": "havn-headers"}, {"name": name}],
            "services": [dict(page)],
        }
        for rule in rules
    ]
    tls = {"secretName": entrance.tls_secret} if entrance.tls_secret else {}
    spec = {"entryPoints": [entrance.entry_point], "routes": routes, "tls": tls}
    return _object("IngressRoute", entrance, name, spec)


def _object(kind: str, entrance: Entrance, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    labels = {**_LABELS, "app.kubernetes.io/part-of": entrance.org}
    return {"apiVersion": _VERSION, "kind": kind, "metadata": {"name": name, "labels": labels}, "spec": spec}
