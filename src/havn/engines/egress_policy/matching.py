"""One environment's rules made ready for use, and the decision on a request with the line that would allow it."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from havn.engines.egress_policy.model import Credential, EgressPolicy, Limits, Mode, Rule, Upstream
from havn.engines.egress_policy.names import host_fault, under
from havn.engines.egress_policy.validation import split


class Request(msgspec.Struct, frozen=True):
    """What an app asks for: a tunnel, or one request in clear."""

    kind: Literal["connect", "http"]
    host: str
    port: int
    method: str = "CONNECT"
    target: str = "/"


class Verdict(msgspec.Struct, frozen=True):
    """Whether it may, why, and what an enforcing policy would have said."""

    allowed: bool
    reason: str
    """rule, observed, open, no_rule, bad_host."""
    rule: str = ""
    would_deny: bool = False
    hint: str = ""
    """The line to add to the policy when no rule matched."""


class Target(msgspec.Struct, frozen=True):
    """A named upstream, taken apart."""

    name: str
    scheme: str
    host: str
    port: int
    path: str
    upstream: Upstream
    credentials: tuple[tuple[str, Credential], ...]

    def permits(self, method: str, target: str) -> bool:
        """Whether a request with this method and target (below the upstream's own path) may be made."""
        return (not self.upstream.methods or method in self.upstream.methods) and under(target, self.upstream.paths)


class Policy:
    """The rules in force in `environment`, whose type decides the mode when the file names none."""

    def __init__(self, policy: EgressPolicy, *, environment: str, production: bool) -> None:
        override = policy.environments.get(environment)
        self.mode: Mode = policy.mode or ("enforce" if production else "observe")
        self.open = policy.open
        self.limits: Limits = policy.limits
        rules: tuple[Rule, ...] = policy.allow
        upstreams, credentials = dict(policy.upstreams), dict(policy.credentials)
        if override is not None:
            if override.mode is not None:
                self.mode, self.open = override.mode, override.open
            self.limits = override.limits or self.limits
            rules += override.allow
            upstreams |= override.upstreams
            credentials |= override.credentials
        self._exact: dict[str, list[Rule]] = {}
        self._wild: dict[str, list[Rule]] = {}
        for rule in rules:
            wild = rule.host.startswith("*.")
            (self._wild if wild else self._exact).setdefault(rule.host[2:] if wild else rule.host, []).append(rule)
        self.targets: dict[str, Target] = {}
        for name, upstream in upstreams.items():
            parts = split(upstream.url)
            assert parts is not None, "validated before"
            used = tuple((each, credentials[each]) for each in upstream.credentials)
            self.targets[name] = Target(name, *parts, upstream, used)

    def mode_on(self, today: date) -> Mode:
        """The mode of the day: open ends by itself, and then the rules are enforced."""
        if self.mode == "open" and (self.open is None or today > self.open.until):
            return "enforce"
        return self.mode

    def decide(self, request: Request, today: date) -> Verdict:
        """Whether `request` may be made. Its host must be a plain name in every mode."""
        if (fault := host_fault(request.host)) is not None:
            return Verdict(False, "bad_host", hint=f"The host cannot be used: {fault}.")
        for rule in self._candidates(request.host):
            if _matches(rule, request):
                return Verdict(True, "rule", rule=_label(rule))
        mode = self.mode_on(today)
        if mode == "open":
            return Verdict(True, "open", would_deny=True, hint=line_for(request))
        if mode == "observe":
            return Verdict(True, "observed", would_deny=True, hint=line_for(request))
        return Verdict(False, "no_rule", would_deny=True, hint=line_for(request))

    def label(self, host: str) -> str:
        """The host as metrics may name it: as the policy does, or `other`."""
        found = next(iter(self._candidates(host)), None)
        return found.host if found is not None else "other"

    def _candidates(self, host: str) -> list[Rule]:
        # A wildcard stands for exactly one label, as in certificates.
        found = self._exact.get(host)
        wild = self._wild.get(host.partition(".")[2]) if self._wild else None
        return [*(found or ()), *(wild or ())]


def line_for(request: Request) -> str:
    """The line under `allow:` that lets `request` through."""
    members = [f"host: {request.host}"]
    if request.kind == "http":
        members.append("scheme: http")
    if request.port != (80 if request.kind == "http" else 443):
        members.append(f"ports: [{request.port}]")
    if request.kind == "http":
        members.append(f"methods: [{request.method}]")
        first = request.target.partition("?")[0].split("/")
        if len(first) > 2:
            members.append(f"paths: ['/{first[1]}/']" if first[1].isalpha() else "paths: ['/']")
    return "- {" + ", ".join(members) + "}"


def _matches(rule: Rule, request: Request) -> bool:
    if rule.scheme != ("http" if request.kind == "http" else "https"):
        return False
    if request.port not in (rule.ports or ((80,) if rule.scheme == "http" else (443,))):
        return False
    if request.kind == "connect":
        return True
    return (not rule.methods or request.method in rule.methods) and under(request.target, rule.paths)


def _label(rule: Rule) -> str:
    ports = ",".join(str(port) for port in rule.ports) or ("80" if rule.scheme == "http" else "443")
    return f"{rule.scheme}://{rule.host}:{ports}"
