"""What one app process is told at its start."""

from __future__ import annotations

import msgspec


class RuntimeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings`: each field is `HAVN_<FIELD>`, secrets may be files."""

    domain: str
    """The environment's domain with its port, such as `havn.localhost:8000`."""
    scheme: str = "https"
    environment: str = "local"
    environment_type: str = "test"
    """`test` or `production`: production enforces `disallowUserInstantiation`."""
    platform_url: str
    """Where this process reaches the platform APIs, without a path."""
    app_folder: str
    """The folder that holds `config/`, `ui/` … (or the one above it, that holds `App/`)."""
    dependencies: str | None = None
    """Folder of the release's own Python packages, found after the runtime's; absent when they are found already."""
    egress_url: str | None = None
    """The API proxy, the only way out; absent: the app reaches nothing but the platform."""
    org: str
    app: str
    release: str = ""
    """Digest of the release this process runs; empty under `havn dev`."""
    tls_dir: str | None = None
    """Folder of `tls.crt` and `tls.key`: HTTPS is served with them, and nothing else."""
    trust_file: str | None = None
    """Authorities that sign the certificates of the platform and of the API proxy, beside the system's own."""
    host: str = "127.0.0.1"
    port: int = 5005
    secrets_dir: str | None = None
    """Folder of this deployment's secrets, the app's own among them; read again when they are asked for."""
    platform_access_key: str
    """Private JWK (ES256) of this deployment: a secret."""
    lock_seconds: int = 10
    """How long an instance stays locked when the process that moves it is killed; renewed while it lives."""
    frontend_url: str | None = None
    """Base address of a React frontend to serve instead of the built-in form; absent means the built-in form."""
    dev: bool = False
    """Reload configuration and hooks when a file changes, and offer the browser's reload events."""

    @property
    def app_id(self) -> str:
        """`org/app`."""
        return f"{self.org}/{self.app}"

    @property
    def platform_host(self) -> str:
        """The public host of the platform."""
        return f"platform.{self.domain}"

    @property
    def platform_base(self) -> str:
        """The public address of the platform, as a browser reaches it."""
        return f"{self.scheme}://platform.{self.domain}"

    @property
    def app_host(self) -> str:
        """The public host of this owner's apps."""
        return f"{self.org}.apps.{self.domain}"

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers keep cookies marked Secure: over https, and under `.localhost`, which they trust."""
        return self.scheme == "https" or self.domain.partition(":")[0].endswith("localhost")

    @property
    def issuer(self) -> str:
        """The issuer of the platform's user tokens."""
        return f"{self.platform_base}/authentication/api/v1/openid/"

    def __repr__(self) -> str:
        return f"RuntimeSettings({self.app_id!r}, domain={self.domain!r}, environment={self.environment!r})"
