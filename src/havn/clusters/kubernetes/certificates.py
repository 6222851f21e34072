"""The certificates that a cluster is reached with: how long each is still good."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import ssl
from datetime import UTC, datetime
from urllib.parse import urlsplit

import msgspec
from cryptography import x509

from havn.clusters.kubernetes.credentials import Credentials
from havn.contracts.estate import Finding

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
