"""Certificates inside a cluster, of apps and what charts/cluster brings, and the bundle of what is believed: Secrets.

They are not immutable: pods mount them and take up what is new without being replaced.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from havn.clusters.kubernetes.kube import Absent, Kube
from havn.clusters.kubernetes.objects import Secret

TRUST = "havn-trust"
_NUDGE = "havn/certificates"
_TLS = "kubernetes.io/tls"


class LeafPair(Protocol):
    """A certificate and its private key, both PEM."""

    @property
    def certificate(self) -> str:
        """The certificate."""
        ...

    @property
    def key(self) -> str:
        """Its private key."""
        ...


class Issuer(Protocol):
    """The certificate authority of one cluster."""

    async def bundle(self) -> str:
        """Every authority that is believed, PEM."""
        ...

    async def signer(self) -> str:
        """The one that signs."""
        ...

    async def issue(self, names: Sequence[str]) -> LeafPair:
        """A server's certificate for these DNS names."""
        ...


def leaf_name(app: str) -> str:
    """The Secret with the certificate of an app, the API proxy, or the page where no app is."""
    return f"{app}-tls"


async def write_trust(kube: Kube, bundle: str) -> bool:
    """Make the bundle what is believed; whether that is news."""
    known = await kube.find("v1", "secrets", TRUST, Secret)
    data = {"ca.crt": base64.b64encode(bundle.encode()).decode()}
    if known is not None and known.data == data:
        return False
    await _write(kube, TRUST, "Opaque", data, exists=known is not None)
    return True


async def ensure_leaf(kube: Kube, app: str, issuer: Issuer, now: datetime) -> bool:
    """See that an app, or what is called so, has a certificate of the authority that signs now, not too old.

    Returns whether it was made anew.
    """
    known = await kube.find("v1", "secrets", leaf_name(app), Secret)
    if known is not None and not _stale(known, await issuer.signer(), now):
        return False
    namespace = kube.namespace
    names = [app, f"{app}.{namespace}", f"{app}.{namespace}.svc", f"{app}.{namespace}.svc.cluster.local"]
    made = await issuer.issue(names)
    data = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in (("tls.crt", made.certificate), ("tls.key", made.key))
    }
    await _write(kube, leaf_name(app), _TLS, data, exists=known is not None)
    return True


async def drop_leaf(kube: Kube, app: str) -> None:
    """Delete the certificate of an app, or of what is called so."""
    await kube.delete("v1", "secrets", leaf_name(app))


async def nudge(kube: Kube, pods: Iterable[str], now: datetime) -> None:
    """Have the kubelet look at the pods' volumes at once: by itself it does so every minute or so."""
    for pod in pods:
        with contextlib.suppress(Absent):
            await kube.merge("v1", f"pods/{pod}", {"metadata": {"annotations": {_NUDGE: now.isoformat()}}})


async def _write(kube: Kube, name: str, type_: str, data: dict[str, str], *, exists: bool) -> None:
    body: dict[str, Any] = {"metadata": {"name": name}, "data": data}
    if exists:
        await kube.merge("v1", f"secrets/{name}", body)
    else:
        await kube.create("v1", "secrets", {"apiVersion": "v1", "kind": "Secret", "type": type_, **body})


def _stale(secret: Secret, signer: str, now: datetime) -> bool:
    """Whether the certificate is another authority's, two thirds through its life, or no certificate."""
    try:
        found = x509.load_pem_x509_certificate(base64.b64decode(secret.data.get("tls.crt", "")))
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(signer.encode()))
    except (ValueError, TypeError, InvalidSignature, binascii.Error):
        return True
    begun, until = found.not_valid_before_utc, found.not_valid_after_utc
    return now >= begun + (until - begun) * 2 / 3
