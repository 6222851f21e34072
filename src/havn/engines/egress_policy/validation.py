"""What the types cannot say: references that lead nowhere, hosts that can match nothing, modes without their word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

import msgspec

from havn.engines.egress_policy.model import (
    CertificateCredential,
    Credential,
    EgressPolicy,
    MaskinportenCredential,
    Mode,
    OAuth2Credential,
    Open,
    Override,
    Rule,
    Upstream,
)
from havn.engines.egress_policy.names import host_fault, path_fault, pattern_fault

Step = str | int


class Fault(msgspec.Struct, frozen=True):
    """One mistake, and the path in the file to it."""

    path: tuple[Step, ...]
    message: str
    hint: str = ""


def faults(policy: EgressPolicy) -> list[Fault]:
    """Everything wrong with `policy`; an empty list when it can be put in force."""
    found = list(_section((), policy, policy.upstreams, policy.credentials))
    for name, override in policy.environments.items():
        at = ("environments", name)
        upstreams = {**policy.upstreams, **override.upstreams}
        credentials = {**policy.credentials, **override.credentials}
        found += _section(at, override, upstreams, credentials)
    return list(dict.fromkeys(found))


def split(url: str) -> tuple[str, str, int, str] | None:
    """Scheme, host, port and path (without a final slash) of an upstream's address; None when it is not usable."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or parts.username is not None or parts.query or parts.fragment:
        return None
    if port == 0:
        return None
    return parts.scheme, parts.hostname or "", port or (443 if parts.scheme == "https" else 80), parts.path.rstrip("/")


def _section(
    at: tuple[Step, ...],
    part: EgressPolicy | Override,
    upstreams: Mapping[str, Upstream],
    credentials: Mapping[str, Credential],
) -> Iterator[Fault]:
    yield from _mode(at, part.mode, part.open)
    for index, rule in enumerate(part.allow):
        yield from _rule((*at, "allow", index), rule)
    for name, upstream in part.upstreams.items():
        yield from _upstream((*at, "upstreams", name), upstream, credentials)
    for name, credential in part.credentials.items():
        yield from _credential((*at, "credentials", name), name, credential, upstreams)


def _mode(at: tuple[Step, ...], mode: Mode | None, allowed: Open | None) -> Iterator[Fault]:
    if mode == "open" and allowed is None:
        yield Fault((*at, "mode"), "The mode open needs an end and a person who allowed it.",
                    "Add open: {until: 2030-01-31, approvedBy: Name}.")  # fmt: skip
    if allowed is not None and mode != "open":
        yield Fault((*at, "open"), "This is only for the mode open.", "Remove it, or set mode: open.")


def _rule(at: tuple[Step, ...], rule: Rule) -> Iterator[Fault]:
    if (fault := pattern_fault(rule.host)) is not None:
        yield Fault((*at, "host"), f"The host cannot be used: {fault}.")
    if rule.scheme == "https" and (rule.methods or rule.paths):
        yield Fault(
            (*at, "methods" if rule.methods else "paths"),
            "Methods and paths cannot be seen inside a TLS tunnel.",
            "Name the address under upstreams instead, and call it as http://egress/<name>/.",
        )
    yield from _paths(at, rule.paths)


def _upstream(at: tuple[Step, ...], upstream: Upstream, credentials: Mapping[str, Credential]) -> Iterator[Fault]:
    parts = split(upstream.url)
    fault = "it needs a scheme, a host and perhaps a path, and nothing else" if parts is None else host_fault(parts[1])
    if fault is None and parts is not None and parts[3]:
        fault = path_fault(parts[3])
    if fault is not None:
        yield Fault((*at, "url"), f"The address cannot be used: {fault}.")
    yield from _paths(at, upstream.paths)
    for index, name in enumerate(upstream.credentials):
        here = (*at, "credentials", index)
        credential = credentials.get(name)
        if credential is None:
            yield Fault(here, f"There is no credential {name}.", "Describe it under credentials.")
        elif parts is not None:
            if parts[1] not in credential.hosts:
                yield Fault(here, f"The credential {name} is not for {parts[1]}.", "Add the host to its hosts.")
            if parts[0] != "https":
                yield Fault(here, "Credentials are only sent over https.", "Use an https address.")


def _credential(
    at: tuple[Step, ...], name: str, credential: Credential, upstreams: Mapping[str, Upstream]
) -> Iterator[Fault]:
    for index, host in enumerate(credential.hosts):
        if (fault := host_fault(host)) is not None:
            yield Fault((*at, "hosts", index), f"The host cannot be used: {fault}.")
    yield from _paths(at, credential.paths)
    if isinstance(credential, OAuth2Credential | MaskinportenCredential):
        parts = split(credential.token_url)
        fault = "it is not a plain https address" if parts is None or parts[0] != "https" else host_fault(parts[1])
        if fault is not None:
            yield Fault((*at, "tokenUrl"), f"The token address cannot be used: {fault}.")
    if isinstance(credential, CertificateCredential) and (credential.methods or credential.paths):
        yield Fault(at, "A client certificate is shown for a whole connection, before any method or path.")
    if not any(name in upstream.credentials for upstream in upstreams.values()):
        yield Fault(at, f"No upstream uses the credential {name}.", "Remove it, or name it in an upstream.")


def _paths(at: tuple[Step, ...], paths: tuple[str, ...]) -> Iterator[Fault]:
    for index, path in enumerate(paths):
        fault = "it has a query" if "?" in path else path_fault(path)
        if fault is not None:
            yield Fault((*at, "paths", index), f"The path cannot be used: {fault}.")
