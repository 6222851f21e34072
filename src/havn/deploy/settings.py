"""Settings of the control plane as a process of its own, and of what it puts into clusters."""

from __future__ import annotations

import msgspec


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is needed to put apps into Kubernetes clusters; read by `havn up` too, which works without."""

    helm: str = "helm"
    """The program: a path, or a name that is looked for."""
    charts: str = ""
    """The folder of `charts/app` and `charts/cluster`; empty: those that came with this Havn."""
    registry_url: str = ""
    """Where images are put: https://HOST, or http://HOST:PORT for one without TLS."""
    registry_name: str = ""
    """How nodes call it, when not by the host of `registry_url`."""
    registry_prefix: str = ""
    """What stands before every repository, in a registry that is shared."""
    registry_user: str = ""
    registry_password: str = ""
    """Secret."""
    registry_authority: str = ""
    """PEM file with the authority of the registry's certificate, when this system does not know it."""
    runtime_image: str = ""
    """The base image: REPOSITORY@sha256:… in that registry, below the prefix."""

    def __repr__(self) -> str:
        return f"ToolSettings({self.registry_url!r}, {self.runtime_image!r})"


class Settings(ToolSettings, frozen=True, kw_only=True):
    """Read by `havn.kit.settings` from the environment and the secrets folder."""

    deploy_database_url: str
    """Secret: PostgreSQL, as the role that owns the schema `deploy`."""
    identities_file: str = ""
    """File of age identities, the one to seal with first; empty: `deploy-identities` in the secrets folder."""
    trust_file: str | None = None
    """Authorities that sign the other parts' certificates, beside the system's own; a PEM file, followed."""
    tls_dir: str | None = None
    """Folder of the certificate that the process serves with, of which `havn cluster doctor` tells how old it is."""
    console_url: str = ""
    """The public address, such as https://console.example.no."""
    oidc_issuer: str = ""
    """Where people sign in; empty: nobody does, and only machines' tokens work."""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    """Secret; empty for a public client."""
    oidc_address: str = ""
    """Where the provider is reached, when not at its issuer's address."""
    oidc_scope: str = "openid profile"
    administrators: str = ""
    """Subjects, blanks between them, that administer everything: how the first roles are given."""
    work_folder: str = "/tmp/havn"  # noqa: S108  (a container's own, in memory)
    """Folder for unpacked releases and for kubeconfigs in use."""

    def __repr__(self) -> str:
        return f"<Settings of the control plane at {self.console_url}>"
