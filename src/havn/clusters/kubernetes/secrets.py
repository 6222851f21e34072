"""An app's secrets in the cluster: immutable Secrets numbered by version, the old kept until no pod needs it."""

from __future__ import annotations

import base64
import re
from collections.abc import Collection, Mapping

from havn.clusters.kubernetes.kube import Kube
from havn.clusters.kubernetes.objects import Secret

_LABEL = "havn/secrets-of"


async def write(kube: Kube, app: str, values: Mapping[str, str]) -> str:
    """Make sure that a Secret with exactly these values is there; returns its name, empty when there are no values."""
    if not values:
        return ""
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    known = await _known(kube, app)
    for secret in known:
        if secret.data == data and secret.metadata.deletion_timestamp is None:
            return secret.metadata.name
    name = f"{app}-v{max((_version(secret) for secret in known), default=0) + 1}"
    body = {
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "immutable": True, "data": data,
        "metadata": {"name": name, "labels": {_LABEL: app}},
    }  # fmt: skip
    await kube.create("v1", "secrets", body)
    return name


async def keep_only(kube: Kube, app: str, names: Collection[str]) -> None:
    """Delete every version of the app's secrets but `names`."""
    for secret in await _known(kube, app):
        if secret.metadata.name not in names:
            await kube.delete("v1", "secrets", secret.metadata.name)


async def _known(kube: Kube, app: str) -> list[Secret]:
    return await kube.list("v1", "secrets", Secret, labels={_LABEL: app})


def _version(secret: Secret) -> int:
    found = re.search(r"-v(\d+)$", secret.metadata.name)
    return int(found[1]) if found else 0
