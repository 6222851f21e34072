"""Exchanging a token from elsewhere for ours: a person's of ID-porten's kind, an organisation's of Maskinporten's.

Each failure says what is wrong: expired, signature, issuer, audience, scope or person.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from havn.contracts import authentication as contract
from havn.contracts.authentication import IssuedToken
from havn.engines.identifiers import organisation_number_fault, person_number_fault
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authentication.levels import level_of, method_of
from havn.platform.authentication.sessions import Sessions
from havn.platform.authentication.settings import Orgs, Settings, TokenIssuer
from havn.platform.authentication.signing_keys import KeyRing
from havn.platform.authentication.upstream import Remote
from havn.platform.authentication.users import Users

OWNER_SCOPE = "altinn:serviceowner"
_LONGEST = timedelta(hours=12)
_GRACE = timedelta(minutes=10)
_ORG = re.compile(r"[a-z][a-z0-9]{0,49}")


class Exchange:
    """Checks a foreign token and makes ours."""

    def __init__(
        self,
        settings: Settings,
        issuers: Mapping[str, TokenIssuer],
        remotes: Mapping[str, Remote],
        orgs: Orgs,
        users: Users,
        sessions: Sessions,
        keys: KeyRing,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._issuers = issuers
        self._remotes = remotes
        self._orgs = orgs
        self._users = users
        self._sessions = sessions
        self._keys = keys
        self._clock = clock

    async def exchange(self, name: str, token: str, *, test: bool, audience: str | None) -> IssuedToken:
        """Our token for `token` of the provider `name`.

        `audience` is an owner's code: the token is then for that owner's apps; without it, for the platform, and for
        an owner's own token also for its own apps. `test` lets the owner `digdir` act as `ttd`.
        400 for an unknown provider or audience, 401 for a token that is not good, 403 for scope or person.
        """
        key = name.lower()
        issuer = self._issuers.get(key)
        if issuer is None:
            known = ", ".join(sorted(self._issuers)) or "none"
            raise Problem(400, f"Unknown token provider. Known: {known}.", code="unknown_provider")
        if audience is not None and not _ORG.fullmatch(audience):
            raise Problem(400, "audience must be an owner's code.", code="invalid_audience")
        claims = await self._remotes[key].verified(token, algorithms=issuer.algorithms, audiences=issuer.audiences)
        until = datetime.fromtimestamp(float(claims["exp"]), UTC)
        now = self._clock()
        if issuer.kind == "id-porten":
            made = await self._person(key, issuer, claims)
            expires = min(until, now + _LONGEST)
        else:
            made = self._organisation(claims, test=test)
            expires = min(now + timedelta(minutes=self._settings.authentication_session_minutes), until + _GRACE)
        return await self._sign(made, key, now, expires, audience)

    async def _person(self, key: str, issuer: TokenIssuer, claims: dict[str, Any]) -> dict[str, Any]:
        scopes = _scopes(claims)
        if not any(scope.startswith("altinn:") or scope in issuer.scopes for scope in scopes):
            raise Problem(403, "The token has no scope for this platform.", code="scope_missing")
        pid, acr = claims.get("pid"), claims.get("acr")
        if not isinstance(pid, str) or not isinstance(acr, str):
            raise _unauthorized("The token does not say who signed in, or how.", "identity_missing")
        if issuer.require_synthetic_pid and person_number_fault(pid, "test") is not None:
            raise _unauthorized("Only synthetic persons may sign in here.", "not_synthetic")
        try:
            profile = await self._users.by_number(pid)
        except Problem as problem:
            if problem.code == "unknown_person":
                raise _unauthorized("The person is not registered as a user here.", "unknown_person") from None
            raise
        amr = claims.get("amr")
        methods = [amr] if isinstance(amr, str) else amr if isinstance(amr, list) else []
        dropped = {"aud", "iss", "at_hash", "sid", "sub", "exp", "iat", "nbf", "jti"}
        made = {name: value for name, value in claims.items() if name not in dropped and not _ours(name)}
        return made | {
            "sub": f"urn:altinn:party:uuid:{profile.user_uuid}",
            "nameid": str(profile.user_id),
            contract.CLAIM_USER_ID: str(profile.user_id),
            contract.CLAIM_USERNAME: profile.user_name,
            contract.CLAIM_PARTY_ID: profile.party_id,
            contract.CLAIM_PARTY_UUID: profile.user_uuid,
            contract.CLAIM_AUTH_METHOD: method_of([method for method in methods if isinstance(method, str)]),
            contract.CLAIM_AUTH_LEVEL: level_of(acr),
            # A scope that only a browser session has is never taken over.
            "scope": " ".join(scope for scope in scopes if scope != contract.PORTAL_SCOPE),
        }

    def _organisation(self, claims: dict[str, Any], *, test: bool) -> dict[str, Any]:
        consumer = claims.get("consumer")
        number = _consumer_number(consumer)
        if number is None:
            raise _unauthorized("The token does not say which organisation calls.", "consumer_missing")
        scopes = _scopes(claims)
        dropped = {"aud", "iss", "client_amr", "sid", "sub", "exp", "iat", "nbf", "jti", "pid"}
        made = {name: value for name, value in claims.items() if name not in dropped and not _ours(name)}
        made |= {
            "scope": " ".join(scope for scope in scopes if scope != contract.PORTAL_SCOPE),
            contract.CLAIM_ORG_NUMBER: number,
            contract.CLAIM_AUTH_METHOD: "maskinporten",
            contract.CLAIM_AUTH_LEVEL: 3,
        }
        if any(scope == OWNER_SCOPE or scope.startswith((f"{OWNER_SCOPE}/", f"{OWNER_SCOPE}.")) for scope in scopes):
            code = self._orgs.code_of(number)
            if code == "digdir" and test:
                code = "ttd"
            if code is not None:
                made[contract.CLAIM_ORG] = code
        return made

    async def _sign(
        self, made: dict[str, Any], key: str, now: datetime, expires: datetime, audience: str | None
    ) -> IssuedToken:
        aud: str | list[str] = self._settings.platform_origin
        if audience is not None:
            aud = self._settings.owner_origin(audience)
        elif contract.CLAIM_ORG in made:
            aud = [self._settings.platform_origin, self._settings.owner_origin(made[contract.CLAIM_ORG])]
        issued = int(now.timestamp())
        times = {"iat": issued, "nbf": issued, "exp": int(expires.timestamp())}
        # A session id of its own, so that it can be revoked like any other; it has no session behind it.
        ids = {"jti": uuid.uuid4().hex, "sid": self._sessions.secret()}
        claims = made | {"iss": self._settings.issuer, "originaliss": key, "aud": aud} | times | ids
        return IssuedToken(token=await self._keys.sign(claims), expires_at=expires)


def _ours(name: str) -> bool:
    """Whether a claim name is one that only we may set."""
    return name.startswith("urn:altinn:") or name in ("nameid", "originaliss")


def _scopes(claims: dict[str, Any]) -> list[str]:
    scope = claims.get("scope")
    if isinstance(scope, list):
        return [item for item in scope if isinstance(item, str)]
    return scope.split() if isinstance(scope, str) else []


def _consumer_number(consumer: Any) -> str | None:
    if not isinstance(consumer, dict) or consumer.get("authority") != "iso6523-actorid-upis":
        return None
    identifier = consumer.get("ID")
    if not isinstance(identifier, str) or not identifier.startswith("0192:"):
        return None
    number = identifier[5:]
    return None if organisation_number_fault(number) is not None else number


def _unauthorized(detail: str, code: str) -> Problem:
    return Problem(401, detail, code=code, headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
