"""Browser sessions: how they begin, live, give tokens, and end.

A session ends half an hour after its last use and twelve hours after sign-in, whichever comes first. Its cookie holds a
random handle of which only a keyed hash is stored. Tokens never outlive it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from havn.contracts import authentication as contract
from havn.kit.clock import Clock
from havn.platform.authentication.levels import EMAIL_ACR, level_of, method_of
from havn.platform.authentication.settings import Provider, Settings
from havn.platform.authentication.upstream import Identity
from havn.platform.authentication.users import KnownUser

SCOPES = ("openid", "digdir:dialogporten.noconsent", contract.PORTAL_SCOPE, "altinn:instances.read")
CODE_SECONDS = 60


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A person signed in with a browser."""

    sid: str
    provider: str
    upstream_issuer: str
    upstream_sub: str
    upstream_sid: str | None
    user_id: int
    party_id: int
    party_uuid: str
    username: str | None
    external_identity: str | None
    email: str | None
    selected_party_id: int
    selected_party_uuid: str | None
    acr: str
    amr: list[str]
    level: int
    method: str
    scopes: list[str]
    provider_claims: dict[str, Any]
    auth_time: datetime
    created: datetime
    expires: datetime
    absolute_expires: datetime
    ip: str | None
    user_agent_hash: bytes | None


class OneTimeCode(msgspec.Struct, frozen=True):
    """What a code in a redirect stands for: a token of session `sid` for the app at `prefix` on `org`'s host."""

    sid: str
    org: str
    app: str
    prefix: str
    expires: datetime


class Sessions:
    """The rules of a session's life; knows no storage."""

    def __init__(self, settings: Settings, clock: Clock, random: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._settings = settings
        self._clock = clock
        self._random = random
        self._pepper = settings.authentication_session_pepper.encode()

    def begin(
        self,
        provider_key: str,
        provider: Provider,
        identity: Identity,
        user: KnownUser,
        *,
        ip: str | None,
        user_agent: str,
    ) -> tuple[str, Session]:
        """A fresh session and the handle for its cookie; never a continuation of another."""
        now = self._clock()
        level = 0 if identity.acr == EMAIL_ACR else level_of(identity.acr)
        session = Session(
            sid=self.secret(),
            provider=provider_key,
            upstream_issuer=provider.issuer,
            upstream_sub=identity.sub,
            upstream_sid=identity.sid,
            user_id=user.user_id,
            party_id=user.party_id,
            party_uuid=user.party_uuid,
            username=user.username,
            external_identity=user.external_identity,
            email=user.email,
            selected_party_id=user.selected_party_id,
            selected_party_uuid=user.selected_party_uuid,
            acr=identity.acr,
            amr=identity.amr,
            level=level,
            method=method_of(identity.amr),
            scopes=list(SCOPES),
            provider_claims=_copied(provider, identity.claims),
            auth_time=identity.auth_time,
            created=now,
            expires=now + self._sliding,
            absolute_expires=now + timedelta(minutes=self._settings.authentication_session_max_minutes),
            ip=ip,
            user_agent_hash=hashlib.sha256(user_agent.encode()).digest() if user_agent else None,
        )
        return self.secret(), session

    def secret(self) -> str:
        """256 random bits, base64url."""
        return base64.urlsafe_b64encode(self._random(32)).rstrip(b"=").decode()

    def handle_hash(self, handle: str) -> bytes:
        """What is stored of a handle or code."""
        return hmac.digest(self._pepper, handle.encode(), hashlib.sha256)

    def slid(self, session: Session) -> datetime:
        """When the session ends if it is used now."""
        return min(self._clock() + self._sliding, session.absolute_expires)

    def claims(self, session: Session, *, issuer: str, audience: str) -> tuple[dict[str, Any], datetime]:
        """The claims of a token for `audience` made now, and when it ends."""
        now = self._clock()
        expires = self.slid(session)
        issued = int(now.timestamp())
        claims: dict[str, Any] = {
            "sub": f"urn:altinn:party:uuid:{session.party_uuid}",
            "sid": session.sid,
            "jti": uuid.uuid4().hex,
            "iss": issuer,
            "aud": audience,
            "originaliss": session.provider,
            contract.CLAIM_PARTY_UUID: session.party_uuid,
            contract.CLAIM_PARTY_ID: session.party_id,
            contract.CLAIM_USER_ID: str(session.user_id),
            contract.CLAIM_AUTH_LEVEL: session.level,
            contract.CLAIM_AUTH_METHOD: session.method,
            "acr": session.acr,
            "amr": session.amr,
            "auth_time": int(session.auth_time.timestamp()),
            "scope": " ".join(session.scopes),
            "iat": issued,
            "nbf": issued,
            "exp": int(expires.timestamp()),
        }
        if session.username:
            claims[contract.CLAIM_USERNAME] = session.username
        if session.email:
            claims["email"] = session.email
        if session.external_identity:
            claims[contract.CLAIM_EXTERNAL_IDENTIFIER] = session.external_identity
        # What a provider adds never replaces what we say.
        return {**session.provider_claims, **claims}, expires

    @property
    def _sliding(self) -> timedelta:
        return timedelta(minutes=self._settings.authentication_session_minutes)


def _copied(provider: Provider, claims: dict[str, Any]) -> dict[str, Any]:
    copied = {name: claims[name] for name in provider.provider_claims if name in claims}
    if "sub" in copied:
        copied["provider:sub"] = copied.pop("sub")
    return copied
