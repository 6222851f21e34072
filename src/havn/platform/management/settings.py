"""Settings of the management API."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from havn.contracts.management import Api


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings` from the environment and the secrets folder."""

    domain: str
    """The environment's domain, with port when it is not the scheme's own."""
    platform_url: str
    """Where platform APIs are reached from this process."""
    management_database_url: str
    orgs_file: str
    """The owners: a JSON file in the form of altinn-orgs.json."""
    platform_access_key: str
    """Secret: this component's private key for platform access tokens (JWK)."""
    scheme: str = "https"
    trust_file: str | None = None
    """Authorities that sign the other parts' certificates, beside the system's own; a PEM file, followed."""
    management_counters_url: str | None = None
    """Secret: Valkey or Redis for the counters of rates. Without: in memory, right for one process of this API only."""
    egress_url: str = ""
    """The proxy for calls to addresses that others chose; empty: there are no such calls."""
    management_apps_url: str = ""
    """Where the ingress of all apps is reached from this process; empty: at each app's public address."""

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"<Settings of management for {self.domain}>"

    def description(self, api: Api) -> tuple[str, Mapping[str, str]]:
        """Where an app describes its API, as reached from here, and the headers to ask with."""
        path = f"/{api.org}/{api.app}/v1/customOpenapi.json"
        host = f"{api.org}.apps.{self.domain}"
        if self.management_apps_url:
            return f"{self.management_apps_url}{path}", {"host": host}
        return f"{self.scheme}://{host}{path}", {}

    @property
    def origin(self) -> str:
        """The public address of the pages."""
        return f"{self.scheme}://{self.host}"

    @property
    def host(self) -> str:
        """The pages' host, with port."""
        return f"api.{self.domain}"

    @property
    def platform_origin(self) -> str:
        """The platform's public address."""
        return f"{self.scheme}://platform.{self.domain}"

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers keep cookies marked Secure: over https, and under `.localhost`, which they trust."""
        name = self.domain.partition(":")[0]
        return self.scheme == "https" or name == "localhost" or name.endswith(".localhost")
