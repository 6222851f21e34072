"""What one proxy process is told at its start."""

from __future__ import annotations

import msgspec


class EgressSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings`: each field is `HAVN_<FIELD>`. Lists are separated by commas."""

    host: str = "127.0.0.1"
    port: int = 3128
    operations_port: int = 0
    """Where `/health` and `/metrics` are; 0: nowhere."""
    environment: str = "local"
    environment_type: str = "test"
    domain: str
    platform_url: str
    """Where the apps' public keys are fetched."""
    trust_file: str | None = None
    """Certificate authorities of the platform, in PEM; without it, those that the system knows."""
    tls_dir: str | None = None
    """Folder of `tls.crt` and `tls.key`: nothing but TLS is spoken then, to callers and to whoever watches."""
    egress_policies: str
    """Folder of the published policies."""
    egress_secrets: str
    """Folder of the secrets: `{org}/{app}.{name}`."""
    egress_nameservers: str = ""
    """DNS servers, `address` or `address:port`; without any, those of /etc/resolv.conf."""
    egress_denied_ranges: str = ""
    """Beside the built-in ones: pods, services and nodes of the cluster, its API server, our own ingress addresses."""
    egress_allowed_ranges: str = ""
    """Ranges that are let through although they are private; the operator's word, never an app's."""
    egress_ca_file: str = ""
    """More certificate authorities to believe, in PEM."""
    egress_drain_seconds: float = 30.0
    """How long tunnels and requests may go on when the process is told to stop."""
    egress_removed_seconds: float = 10.0
    """How long a tunnel may go on when the rule that allowed it is gone."""
