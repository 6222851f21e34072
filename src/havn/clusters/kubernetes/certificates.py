"""The certificates that a cluster is reached with, and those inside it: how long each is still good."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import ssl
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from cryptography import x509

from havn.clusters.kubernetes import cert_manager
from havn.clusters.kubernetes.credentials import Credentials
from havn.clusters.kubernetes.kube import Kube
from havn.clusters.kubernetes.objects import Metadata
from havn.clusters.port import ClusterError
from havn.contracts.estate import Finding
from havn.kit.lifetime import Lifetime

_SOON_DAYS = 21
_WITHIN = 5.0


async def check(credentials: Credentials, ingress: str, host: str, now: datetime) -> list[Finding]:
    """The API server's, ours as its client, and the ingress's."""
    parts = urlsplit(credentials.server)
    found = [
        _judge("API server", await _shown(parts.hostname or "", parts.port or 443, credentials.server_name), now),
        _ours(credentials, now),
    ]
    if ingress:
        found.append(_judge("ingress", await _shown(ingress, 443, host), now))
    return found


class _Secret(msgspec.Struct, frozen=True):
    metadata: Metadata
    data: dict[str, str] = {}


async def inside(kube: Kube, now: datetime, *, manager: bool = False) -> list[Finding]:
    """Those in the namespace's Secrets: each app's, the API proxy's, and what Traefik was given.

    With `manager`, the charts' values hand certificates to cert-manager, and it must be there.
    """
    found, good = [], []
    if manager:
        try:
            await cert_manager.require(kube)
        except ClusterError as error:
            found.append(
                Finding(
                    check="certificates", result="fail", message=str(error),
                    next="Install it, or give the cluster other values with `havn cluster add`.",
                )
            )  # fmt: skip
    try:
        made = await cert_manager.certificates(kube)
        failed = [each for each in made if not each.ready]
        for each in failed:
            why = (await cert_manager.trouble(kube, each)).rstrip(".")
            found.append(
                Finding(
                    check="certificates", result="fail",
                    message=f"cert-manager has not made the certificate {each.metadata.name}: {why}.",
                    next=f"See `kubectl describe certificate {each.metadata.name}`.",
                )
            )  # fmt: skip
    except ClusterError:
        # Where cert-manager is used, what may not be looked at is among the permissions.
        pass
    for secret in await kube.list("v1", "secrets", _Secret, fields="type=kubernetes.io/tls"):
        finding = _kept(secret, now)
        if isinstance(finding, Finding):
            found.append(finding)
        else:
            good.append((finding, secret.metadata.name))
    if good:
        until, first = min(good)
        count = f"{len(good)} certificates" if len(good) > 1 else "certificate"
        found.append(
            Finding(
                check="certificates", result="ok",
                message=f"The {count} in the namespace {'are' if len(good) > 1 else 'is'} good, "
                f"that of {first} until {until:%Y-%m-%d}.",
            )
        )  # fmt: skip
    return found


def _kept(secret: _Secret, now: datetime) -> datetime | Finding:
    """Until when a Secret's certificate is good, or what is wrong with it."""
    name = secret.metadata.name
    try:
        lifetime = Lifetime.of(base64.b64decode(secret.data.get("tls.crt", "")))
    except (ValueError, binascii.Error):
        return Finding(
            check="certificates", result="warning", message=f"The Secret {name} holds no certificate.",
            next="See who was to write it.",
        )  # fmt: skip
    if lifetime.ended(now):
        return Finding(
            check="certificates", result="fail",
            message=f"The certificate in the Secret {name} ended {_at(lifetime.until)}.",
            next="See why it was not renewed.",
        )  # fmt: skip
    if lifetime.overdue(now):
        return Finding(
            check="certificates", result="warning",
            message=f"The certificate in the Secret {name} ends {_at(lifetime.until)} and has not been renewed.",
            next="Renew it, or see why it is not renewed by itself.",
        )  # fmt: skip
    return lifetime.until


def own(folder: Path, now: datetime) -> Finding:
    """The one that the control plane itself serves with: those of the whole platform are made with it, as a rule."""
    try:
        lifetime = Lifetime.of((folder / "tls.crt").read_bytes())
    except (OSError, ValueError):
        return Finding(
            check="platform", result="warning", message=f"There is no certificate in {folder}.",
            next="See who was to mount it.",
        )  # fmt: skip
    if not lifetime.overdue(now):
        return Finding(
            check="platform",
            result="ok",
            message=f"The platform's own certificate is good until {lifetime.until:%Y-%m-%d}.",
        )
    return Finding(
        check="platform", result="fail" if lifetime.ended(now) else "warning",
        message=f"The platform's own certificate {'ended' if lifetime.ended(now) else 'ends'} {_at(lifetime.until)}, "
        "and with it perhaps those of its other parts.",
        next="Run `havn platform certificates` and apply what it writes, or see why cert-manager has not renewed them.",
    )  # fmt: skip


def _at(moment: datetime) -> str:
    return f"on {moment:%Y-%m-%d} at {moment:%H:%M} UTC"


def _ours(credentials: Credentials, now: datetime) -> Finding:
    if credentials.certificate is not None:
        until = x509.load_pem_x509_certificate(credentials.certificate.encode()).not_valid_after_utc
        return _judge("client certificate", until, now, what="")
    ends = token_expiry(credentials.token or "")
    if ends is None:
        return Finding(
            check="certificates", result="warning", message="Our token for the cluster does not say when it ends.",
            next="Use the token of a service account that ends, and give a new one with `havn cluster add` in time.",
        )  # fmt: skip
    return _judge("token", ends, now, what="")


def token_expiry(token: str) -> datetime | None:
    """When a JWT ends (RFC 7519), or None when it does not say, or is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        return datetime.fromtimestamp(float(claims["exp"]), UTC)
    except (KeyError, TypeError, ValueError, OverflowError, binascii.Error, msgspec.DecodeError):
        return None


async def _shown(address: str, port: int, name: str | None) -> datetime | None:
    """Until when the certificate is good that a server shows; who signed it is for those who use it to check."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        async with asyncio.timeout(_WITHIN):
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name or address)
    except (OSError, TimeoutError, ValueError):
        return None
    try:
        shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return None if shown is None else x509.load_der_x509_certificate(shown).not_valid_after_utc
    except ValueError:
        return None
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


def _judge(name: str, until: datetime | None, now: datetime, what: str = "certificate of the ") -> Finding:
    the = f"The {what}{name}" if what else f"Our {name}"
    if until is None:
        return Finding(
            check="certificates", result="warning", message=f"{the} cannot be looked at from here.",
            next="Look at it from where its users are.",
        )  # fmt: skip
    days = (until - now).total_seconds() / 86400
    if days <= 0:
        return Finding(
            check="certificates", result="fail", message=f"{the} ended on {until:%Y-%m-%d}.", next="Renew it now."
        )
    if days < _SOON_DAYS:
        return Finding(
            check="certificates", result="warning", message=f"{the} ends on {until:%Y-%m-%d}, in {days:.0f} days.",
            next="Renew it, or see why it is not renewed by itself.",
        )  # fmt: skip
    return Finding(check="certificates", result="ok", message=f"{the} is good until {until:%Y-%m-%d}.")
