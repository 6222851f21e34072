"""New life for a session's token, and what a page may know of its session."""

from __future__ import annotations

from datetime import datetime

from havn.contracts.authentication import PORTAL_SCOPE, IssuedToken, SessionInfo
from havn.guard.principal import Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authentication.sessions import Session, Sessions
from havn.platform.authentication.settings import Settings
from havn.platform.authentication.signing_keys import KeyRing
from havn.platform.authentication.store import Store


class Tokens:
    """Refreshes tokens of live sessions, and of nothing else."""

    def __init__(self, settings: Settings, store: Store, sessions: Sessions, keys: KeyRing, clock: Clock) -> None:
        self._settings = settings
        self._store = store
        self._sessions = sessions
        self._keys = keys
        self._clock = clock

    async def refresh(self, principal: Principal) -> IssuedToken:
        """A token with a new life for the same audience; the session slides.

        400 `not_refreshable` for a token that has no session, 401 `session_ended` when its session has ended.
        """
        session = await self.live(principal)
        if not await self._store.slide(session.sid, now=self._clock(), expires=self._sessions.slid(session)):
            raise session_ended()
        audience = (
            self._settings.owner_origin(principal.audience_org)
            if principal.audience_org
            else self._settings.platform_origin
        )
        claims, expires = self._sessions.claims(session, issuer=self._settings.issuer, audience=audience)
        return IssuedToken(token=await self._keys.sign(claims), expires_at=expires)

    async def live(self, principal: Principal) -> Session:
        """The live session of a token."""
        if PORTAL_SCOPE not in principal.scopes or principal.sid is None:
            raise Problem(400, "Only the token of a browser session can be refreshed.", code="not_refreshable")
        session = await self._store.live_session(self._clock(), sid=principal.sid)
        if session is None:
            raise session_ended()
        return session


def info(session: Session, expires: datetime | None = None) -> SessionInfo:
    """What a page may know of its session."""
    return SessionInfo(
        expires_at=expires or session.expires,
        absolute_expires_at=session.absolute_expires,
        level=session.level,
        method=session.method,
    )


def session_ended() -> Problem:
    """A 401: the session behind a token or cookie has ended."""
    return Problem(
        401,
        "The session has ended. Sign in again.",
        code="session_ended",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token", error_description="The session has ended."'},
    )
