"""Settings of the Authentication API, and the lists of identity providers and owners it reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from havn.engines.identifiers import EnvironmentType
from havn.kit.settings import SettingsError

Algorithm = Literal["RS256", "ES256"]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings` from the environment and the secrets folder."""

    domain: str
    """The environment's domain, with port when it is not the scheme's own."""
    environment_type: EnvironmentType
    platform_url: str
    """Where platform APIs are reached from this process."""
    authentication_database_url: str
    authentication_key_folder: str
    """Folder of the encrypted signing keys."""
    authentication_key_identity: str
    """Secret: the age identity (`AGE-SECRET-KEY-…`) that opens the signing keys."""
    authentication_session_pepper: str
    """Secret, at least 32 characters: key of the hashes under which session handles are stored."""
    authentication_providers: str
    """Secret: identity providers and token issuers, a JSON document as `Providers` describes."""
    orgs_file: str
    """The owners: a JSON file in the form of altinn-orgs.json."""
    platform_access_key: str
    """Secret: this component's private key for platform access tokens (JWK)."""
    platform_jwks: str
    """Public keys of all platform components (JWKS)."""
    scheme: str = "https"
    trust_file: str | None = None
    """Authorities that sign the other parts' certificates, beside the system's own; a PEM file, followed."""
    egress_url: str | None = None
    """The API proxy, through which identity providers are reached; without one, directly."""
    authentication_algorithm: Algorithm = "RS256"
    authentication_session_minutes: int = 30
    """A session and its tokens end so long after their last use."""
    authentication_session_max_minutes: int = 720
    """A session ends so long after sign-in, however much it is used."""
    authentication_key_wait_hours: int = 48
    """A new signing key is published so long before it signs."""
    authentication_key_days: int = 90
    """A signing key is followed by a new one at this age."""
    authentication_sign_in_limit: int = 300
    """Sign-ins and callbacks a minute from one address."""
    authentication_exchange_limit: int = 600
    """Token exchanges a minute from one address."""

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"<Settings of authentication for {self.domain}>"

    @property
    def platform_origin(self) -> str:
        """The platform's public address."""
        return f"{self.scheme}://platform.{self.domain}"

    @property
    def base(self) -> str:
        """This API's public address."""
        return f"{self.platform_origin}/authentication/api/v1"

    @property
    def issuer(self) -> str:
        """The issuer of our tokens."""
        return f"{self.base}/openid/"

    @property
    def secure_cookies(self) -> bool:
        """Whether browsers keep cookies marked Secure: over https, and under `.localhost`, which they trust."""
        host = self.domain.partition(":")[0]
        return self.scheme == "https" or host == "localhost" or host.endswith(".localhost")

    @property
    def cookie_prefix(self) -> str:
        """`__Host-` where browsers allow the prefix: over https only, even for `.localhost`."""
        return "__Host-" if self.scheme == "https" else ""

    def owner_origin(self, org: str) -> str:
        """The address of an owner's apps, which is also the audience of tokens for them."""
        return f"{self.scheme}://{org}.apps.{self.domain}"

    def host_origin(self, org: str) -> str:
        """The address that a browser session's token is for: an owner's apps, or for `platform` the host `api.`."""
        return f"{self.scheme}://api.{self.domain}" if org == "platform" else self.owner_origin(org)


class Provider(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An identity provider that people sign in with. Endpoints come from its discovery document.

    `address` is where it is reached from here when its issuer's name cannot be resolved (its name then goes into Host).
    The client proves itself with `client_key` (private_key_jwt, RFC 7523), else `client_secret`, else PKCE alone.
    """

    issuer: str
    client_id: str
    client_key: dict[str, Any] | None = None
    client_secret: str | None = None
    address: str | None = None
    scope: str = "openid"
    acr_values: list[str] = msgspec.field(default_factory=lambda: ["selfregistered-email", "idporten-loa-substantial"])
    algorithms: list[str] = msgspec.field(default_factory=lambda: ["RS256", "ES256", "PS256"])
    external_identity_claim: str | None = None
    """Users are known by this claim, and made at first sight, instead of by national identity number."""
    provider_claims: list[str] = []
    """ID token claims to copy into our token; `sub` becomes `provider:sub`."""
    require_synthetic_pid: bool = False
    """Refuse anybody without a synthetic national identity number: for every test provider."""

    def __repr__(self) -> str:
        """Without the client's secret."""
        return f"<Provider {self.issuer}>"


class TokenIssuer(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An issuer whose access tokens are exchanged for ours.

    `audiences`: values of which the token's `aud` must hold one; empty when the issuer's tokens carry none.
    """

    kind: Literal["id-porten", "maskinporten"]
    issuer: str
    address: str | None = None
    audiences: list[str] = []
    algorithms: list[str] = msgspec.field(default_factory=lambda: ["RS256", "ES256", "PS256"])
    scopes: list[str] = []
    """For `id-porten`: partner scopes accepted beside those that begin with `altinn:`."""
    require_synthetic_pid: bool = False


class Providers(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """All providers by their short names, which go into our tokens as `originaliss`."""

    default: str
    sign_in: dict[str, Provider]
    exchange: dict[str, TokenIssuer] = {}


class OrgName(msgspec.Struct, frozen=True, kw_only=True):
    """A name in three languages."""

    nb: str = ""
    nn: str = ""
    en: str = ""


class Org(msgspec.Struct, frozen=True, kw_only=True):
    """A service owner."""

    name: OrgName
    orgnr: str
    logo: str | None = None
    homepage: str | None = None
    environments: list[str] = []


class Orgs(msgspec.Struct, frozen=True, kw_only=True):
    """Service owners by code."""

    orgs: dict[str, Org]

    def code_of(self, number: str) -> str | None:
        """The code of the owner with this organisation number."""
        return next((code for code, org in self.orgs.items() if org.orgnr == number), None)


def read_orgs(path: str) -> Orgs:
    """The owners in `path`. Raises `SettingsError`."""
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=Orgs)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsError(f"HAVN_ORGS_FILE {path} cannot be read: {error}.") from None


def read_providers(text: str) -> Providers:
    """The identity providers. Raises `SettingsError` without showing the document, which holds secrets."""
    try:
        providers = msgspec.json.decode(text, type=Providers)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"HAVN_AUTHENTICATION_PROVIDERS is wrong: {error}.") from None
    if providers.default not in providers.sign_in:
        raise SettingsError("HAVN_AUTHENTICATION_PROVIDERS: `default` names no provider under `signIn`.")
    return providers
