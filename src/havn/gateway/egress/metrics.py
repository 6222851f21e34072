"""Prometheus metrics. Hosts are named as the policy names them and as `other` else, so their number is bounded."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from havn.gateway.egress.decisions import Decision


class Metrics:
    """What the proxy counts."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        named: dict[str, Any] = {"namespace": "havn", "subsystem": "egress", "registry": self.registry}
        self._decisions = Counter(
            "decisions", "Decisions.", ("org", "app", "host", "mode", "result", "reason"), **named
        )
        self._would_deny = Counter("would_deny", "Let through only by the mode.", ("org", "app"), **named)
        self._errors = Counter("connect_errors", "Failed connections.", ("type",), **named)
        self._bytes = Counter("bytes", "Bytes moved.", ("org", "app", "direction"), **named)
        self._seconds = Histogram(
            "duration_seconds", "From request to end.", ("kind",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600, 3600), **named,
        )  # fmt: skip
        self.tunnels = Gauge("tunnels", "Open tunnels.", **named)
        self.credential_failures = Counter("credential_failures", "Credentials not to be had.", **named)
        self.token_age = Gauge("credential_age_seconds", "Age of the oldest token in use.", **named)
        self.broken = Gauge("policies_broken", "Policy files that cannot be used (alert when above 0).", **named)
        self._expiry = Gauge("certificate_expiry_seconds", "End of a certificate, Unix time.", ("credential",), **named)
        self._known: dict[tuple[str, ...], Counter] = {}

    def ended(self, decision: Decision, host: str) -> None:
        """Count one finished request."""
        key = (decision.org, decision.app, host, decision.mode, decision.result, decision.reason)
        counter = self._known.get(key)
        if counter is None:
            if len(self._known) > 10_000:
                self._known.clear()
            counter = self._known[key] = self._decisions.labels(*key)
        counter.inc()
        if decision.would_deny:
            self._would_deny.labels(decision.org, decision.app).inc()
        if decision.bytes_out:
            self._bytes.labels(decision.org, decision.app, "out").inc(decision.bytes_out)
        if decision.bytes_in:
            self._bytes.labels(decision.org, decision.app, "in").inc(decision.bytes_in)
        self._seconds.labels(decision.kind).observe(decision.ms / 1000)

    def connect_error(self, kind: str) -> None:
        """Count a failed connection."""
        self._errors.labels(kind).inc()

    def certificate(self, credential: str, until: float) -> None:
        """Note when a client certificate ends."""
        self._expiry.labels(credential).set(until)

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self.registry)
