"""Wire types of the Authentication API: claims, cookies, sessions, revocations and keys.

A user token is a JWT (RFC 7519) whose claim names are those of Altinn's platform token, so that existing apps read it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

# Claims of a platform token, beside the registered ones of RFC 7519 and OpenID Connect Core.
CLAIM_USER_ID = "urn:altinn:userid"
CLAIM_USERNAME = "urn:altinn:username"
CLAIM_PARTY_ID = "urn:altinn:partyid"
CLAIM_PARTY_UUID = "urn:altinn:party:uuid"
CLAIM_AUTH_LEVEL = "urn:altinn:authlevel"
CLAIM_AUTH_METHOD = "urn:altinn:authenticatemethod"
CLAIM_ORG = "urn:altinn:org"
CLAIM_ORG_NUMBER = "urn:altinn:orgNumber"
CLAIM_APP = "urn:altinn:app"
CLAIM_EXTERNAL_IDENTIFIER = "urn:altinn:party:external-identifier"

PORTAL_SCOPE = "altinn:portal/enduser"
"""Carried by a token made for a browser session, and by no other."""

TOKEN_COOKIE = "AltinnStudioRuntime"  # noqa: S105  (a cookie's name)
SESSION_COOKIE = "altinnsession"
PARTY_COOKIE = "AltinnPartyId"
PARTY_UUID_COOKIE = "AltinnPartyUuid"

PLATFORM_TOKEN_HEADER = "PlatformAccessToken"  # noqa: S105  (a header's name)

TOKEN_MEDIA_TYPE = "application/vnd.havn.token+json"  # noqa: S105
"""Ask for it with `Accept` to get `IssuedToken` instead of a bare JSON string from refresh and exchange."""


class RedeemRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST `session/redeem`: the one-time code that came with the redirect to the owner's host."""

    code: str


class RedeemedSession(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user's token for one owner's host, and the party to act for at first."""

    token: str
    expires_at: datetime
    party_id: int
    party_uuid: str | None = None


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A token and the moment it ends."""

    token: str
    expires_at: datetime


class SessionInfo(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a page may know of its session: when it ends unless used, when it ends anyway, and how strong it is."""

    expires_at: datetime
    absolute_expires_at: datetime
    level: int
    method: str


class RevokedSession(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens with this `sid` are dead; after `until` they have ended by themselves and the entry may be dropped."""

    sid: str
    until: datetime


class Revocations(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions ended since the number asked with; ask again with `next`."""

    next: int
    revoked: list[RevokedSession]


class JsonWebKeySet(msgspec.Struct, frozen=True, kw_only=True):
    """Public keys (RFC 7517, section 5)."""

    keys: list[dict[str, Any]]


class PlatformConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """Our own discovery document: where the keys are.

    People sign in at an identity provider, so it names no authorize or token endpoint.
    """

    issuer: str
    jwks_uri: str
    end_session_endpoint: str
    id_token_signing_alg_values_supported: list[str]
    subject_types_supported: list[str] = msgspec.field(default_factory=lambda: ["public"])
    response_types_supported: list[str] = []


class OpenIdConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """Discovery document of an identity provider (OpenID Connect Discovery 1.0), the members Havn reads or writes."""

    issuer: str
    jwks_uri: str
    authorization_endpoint: str | None = None
    token_endpoint: str | None = None
    """These two are None for an issuer of tokens that nobody signs in with (RFC 8414)."""
    end_session_endpoint: str | None = None
    pushed_authorization_request_endpoint: str | None = None
    response_types_supported: list[str] = msgspec.field(default_factory=lambda: ["code"])
    subject_types_supported: list[str] = msgspec.field(default_factory=lambda: ["public"])
    id_token_signing_alg_values_supported: list[str] = msgspec.field(default_factory=lambda: ["RS256"])
    scopes_supported: list[str] = msgspec.field(default_factory=lambda: ["openid"])
    code_challenge_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["S256"])
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["private_key_jwt"])
    acr_values_supported: list[str] = []
