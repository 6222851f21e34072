"""What may be asked for an org, an environment or a cluster; anything else is a 400 `Problem` in one sentence."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema_rs
import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from havn.contracts.estate import ClusterRequest, EnvironmentRequest
from havn.kit.problem import Problem

_ORG = re.compile(r"[a-z][a-z0-9]{0,19}")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,29}")
_DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})*(:[0-9]{1,5})?")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
_REGISTRY = re.compile(r"[a-zA-Z0-9.:/-]{1,200}")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# What other values may make good is not looked for.
_WRONG = ("type", "additionalProperties", "enum", "pattern", "minimum", "maximum")
_ADDRESS = re.compile(r"[0-9a-zA-Z.:-]{1,253}")


def check_org(org: str, name: str) -> None:
    """Its code, and its name."""
    if not _ORG.fullmatch(org):
        raise Problem(400, "An org's code is up to 20 lower-case letters and digits.", code="invalid_org")
    if not 0 < len(name) <= 200:
        raise Problem(400, "An org has a name of up to 200 characters.", code="invalid_name")


def signing_key(text: str) -> tuple[str, str]:
    """The public key that releases are signed with, PEM as it is kept, and its fingerprint."""
    try:
        key = serialization.load_pem_public_key(text.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Problem(400, "A release's signing key is a P-256 public key in PEM.", code="invalid_key")
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return pem, hashlib.sha256(der).hexdigest()


def check_environment(name: str, asked: EnvironmentRequest) -> None:
    """Its names and addresses."""
    faults: Sequence[tuple[bool, str]] = (
        (not _NAME.fullmatch(name), "An environment's name is up to 30 lower-case letters, digits and hyphens."),
        (not _DOMAIN.fullmatch(asked.domain), "The domain is a host name in lower case, with a port if need be."),
        (
            bool(asked.platform_url) and not _is_base(asked.platform_url),
            "The platform's address is http://HOST or https://HOST, with a port if need be.",
        ),
        (
            not all(_VARIABLE.fullmatch(each) for each in asked.settings),
            "Settings are environment variables: upper-case letters, digits and underscores.",
        ),
        (
            bool(asked.registry) and not _REGISTRY.fullmatch(asked.registry),
            "The registry is HOST or HOST:PORT, with a path if need be.",
        ),
    )
    for wrong, sentence in faults:
        if wrong:
            raise Problem(400, sentence, code="invalid_environment")


def check_deploy_key(key: str) -> None:
    """A private P-256 JWK with a key id."""
    try:
        members = msgspec.json.decode(key, type=dict[str, object])
    except msgspec.MsgspecError:
        members = {}
    if members.get("kty") != "EC" or members.get("crv") != "P-256" or not members.get("d") or not members.get("kid"):
        raise Problem(400, "The key of an environment is a private P-256 key as JWK, with a kid.", code="invalid_key")


def check_cluster(asked: ClusterRequest) -> None:
    """Its namespace, and its ingress's address; whether it can be reached is tried."""
    if not _NAMESPACE.fullmatch(asked.namespace) or (asked.ingress and not _ADDRESS.fullmatch(asked.ingress)):
        raise Problem(400, "The namespace or the ingress's address is not one.", code="invalid_cluster")


def check_values(chart: Path, values: Mapping[str, Any]) -> None:
    """Raises a 400 `Problem` that names the values which the chart in this folder refuses, by its JSON Schema.

    They are some of its values only: what it requires beside them is given when it is used.
    """
    try:
        schema = msgspec.json.decode((chart / "values.schema.json").read_bytes())
    except FileNotFoundError:
        return
    found = [
        f"{'.'.join(str(part) for part in error.instance_path) or 'at the top'}: {error.message}"
        for error in jsonschema_rs.validator_for(schema, mask="this value").iter_errors(_without_authorities(values))
        if error.kind.name in _WRONG
    ]
    if found:
        more = f"; and {len(found) - 5} more" if len(found) > 5 else ""
        raise Problem(
            400, f"charts/{chart.name} does not take these values: {'; '.join(found[:5])}{more}.", code="invalid_values"
        )


def _without_authorities(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is told in `platform` but goes into the bundle of what is believed: no value of the chart."""
    platform = values.get("platform")
    if not isinstance(platform, Mapping):
        return dict(values)
    return {**values, "platform": {name: each for name, each in platform.items() if name != "authorities"}}


def _is_base(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.username and not parts.query
    except ValueError:
        return False


def check_trust(values: Mapping[str, Any]) -> None:
    """Raises a 400 `Problem` when apps with these values of charts/app would not believe the platform's authorities.

    They are put into the bundle of Havn's own authority, which is not used where the values say whose certificates are.
    """
    platform, tls = values.get("platform"), values.get("tls")
    # What is no mapping Helm refuses by the chart's schema.
    if not isinstance(platform, Mapping) or not isinstance(tls, Mapping):
        return
    if platform.get("authorities") and tls and not tls.get("authoritySecret"):
        raise Problem(
            400,
            "Apps with certificates of cert-manager's or your own do not believe platform.authorities: name a Secret "
            "whose ca.crt holds those too, beside who signs the apps' certificates, in tls.authoritySecret.",
            code="authorities_not_believed",
        )
