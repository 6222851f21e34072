"""Signing in with a browser: from an app's address, through an identity provider, back with a one-time code.

The state travels twice, in the provider's redirect and as a hash in a cookie of the browser that began, so that nobody
can finish a sign-in in another's browser. Levels are compared as numbers: a session that is too weak signs in again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from havn.contracts.authentication import RedeemedSession
from havn.guard.platform_token import Caller
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authentication import goto as gotos
from havn.platform.authentication.goto import Goto
from havn.platform.authentication.levels import required_level
from havn.platform.authentication.sessions import CODE_SECONDS, OneTimeCode, Session, Sessions
from havn.platform.authentication.settings import Providers, Settings
from havn.platform.authentication.signing_keys import KeyRing
from havn.platform.authentication.store import SessionHost, Store, Transaction
from havn.platform.authentication.upstream import Upstream
from havn.platform.authentication.users import Users

TRANSACTION_SECONDS = 600
SKEW_SECONDS = 10


class Begun(msgspec.Struct, frozen=True):
    """Send the browser to `url`; `state` is set when it goes to an identity provider."""

    url: str
    state: str | None = None


class Finished(msgspec.Struct, frozen=True):
    """A new session: its cookie's handle, and where the browser goes."""

    handle: str
    session: Session
    url: str


class SignIn:
    """The sign-in flow."""

    def __init__(
        self,
        settings: Settings,
        providers: Providers,
        upstreams: Mapping[str, Upstream],
        store: Store,
        sessions: Sessions,
        users: Users,
        keys: KeyRing,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._providers = providers
        self._upstreams = upstreams
        self._store = store
        self._sessions = sessions
        self._users = users
        self._keys = keys
        self._clock = clock

    def goto(self, text: str | None) -> Goto:
        """The checked address; 400 naming `goto` otherwise."""
        found = gotos.parse(text, scheme=self._settings.scheme, domain=self._settings.domain)
        if found is None:
            raise Problem(400, "The address in goto is missing or is not one of ours.", code="invalid_goto")
        return found

    async def begin(
        self, goto: Goto, *, handle: str | None, acr_values: list[str], iss: str | None, ui_locales: str
    ) -> Begun:
        """Straight on when the browser's session is good enough, else to an identity provider."""
        session = await self.session(handle)
        provider = self._choose(iss)
        strong_enough = session is not None and session.level >= required_level(acr_values)
        if session is not None and strong_enough and (iss is None or provider == session.provider):
            await self._store.slide(session.sid, now=self._clock(), expires=self._sessions.slid(session))
            return Begun(await self._onward(session, goto))
        state, nonce, verifier = self._sessions.secret(), self._sessions.secret(), self._sessions.secret()
        url = await self._upstreams[provider].authorize_url(
            state=state,
            nonce=nonce,
            code_verifier=verifier,
            acr_values=acr_values,
            ui_locales=ui_locales,
            force=session is not None and not strong_enough,
        )
        now = self._clock()
        await self._store.add_transaction(
            state_hash(state),
            Transaction(provider, nonce, verifier, goto.url, required_level(acr_values)),
            now=now,
            expires=now + timedelta(seconds=TRANSACTION_SECONDS),
        )
        return Begun(url, state)

    async def cancelled(self, state: str | None, cookie: str | None) -> str | None:
        """The address that a refused or cancelled sign-in was for, when it is this browser's; it cannot be finished."""
        if not state or not _same_browser(state, cookie):
            return None
        transaction = await self._store.take_transaction(state_hash(state), self._clock())
        return transaction.goto if transaction else None

    async def finish(
        self,
        *,
        code: str | None,
        state: str | None,
        iss: str | None,
        cookie: str | None,
        old_handle: str | None,
        ip: str | None,
        user_agent: str,
    ) -> Finished:
        """The provider has sent the browser back: check everything, then a fresh session and on to the app.

        400 when the state is missing, another browser's, unknown, used or too old.
        """
        if not state or not code:
            raise Problem(400, "The sign-in came back incomplete. Try again.", code="invalid_callback")
        if not _same_browser(state, cookie):
            raise Problem(400, "This sign-in was begun in another browser. Try again.", code="foreign_state")
        now = self._clock()
        transaction = await self._store.take_transaction(state_hash(state), now)
        upstream = self._upstreams.get(transaction.provider) if transaction else None
        if transaction is None or upstream is None:
            raise Problem(400, "This sign-in has been used or is too old. Try again.", code="unknown_state")
        if iss is not None and iss.rstrip("/") != upstream.provider.issuer.rstrip("/"):
            raise Problem(400, "The sign-in came back from another provider. Try again.", code="wrong_issuer")
        goto = self.goto(transaction.goto)
        identity = await upstream.redeem(code, code_verifier=transaction.code_verifier, nonce=transaction.nonce)
        user = await self._users.signed_in(upstream.key, upstream.provider, identity)
        handle, session = self._sessions.begin(
            upstream.key, upstream.provider, identity, user, ip=ip, user_agent=user_agent
        )
        if session.level < transaction.min_level:
            raise Problem(403, "You signed in at a lower level than the page needs.", code="level_too_low")
        await self._store.start_session(
            session,
            self._sessions.handle_hash(handle),
            replacing=self._sessions.handle_hash(old_handle) if old_handle else None,
            revoked_until=self.tokens_end(),
        )
        return Finished(handle, session, await self._onward(session, goto))

    async def session(self, handle: str | None) -> Session | None:
        """The live session of a cookie."""
        if not handle or len(handle) > 200:
            return None
        return await self._store.live_session(self._clock(), handle_hash=self._sessions.handle_hash(handle))

    async def redeem(self, code: str, caller: Caller) -> RedeemedSession:
        """The token for a one-time code, to the very app it was made for; 400 `invalid_code` otherwise."""
        now = self._clock()
        taken = await self._store.take_code(self._sessions.handle_hash(code))
        if taken is None or taken.expires <= now or (taken.org, taken.app) != (caller.org, caller.app):
            raise _invalid_code()
        session = await self._store.live_session(now, sid=taken.sid)
        if session is None:
            raise _invalid_code()
        await self._store.visited(session.sid, SessionHost(taken.org, taken.prefix), now)
        claims, expires = self._sessions.claims(
            session, issuer=self._settings.issuer, audience=self._settings.host_origin(taken.org)
        )
        return RedeemedSession(
            token=await self._keys.sign(claims),
            expires_at=expires,
            party_id=session.selected_party_id,
            party_uuid=session.selected_party_uuid,
        )

    def tokens_end(self) -> datetime:
        """When the last token that was made until now has ended."""
        return self._clock() + timedelta(
            minutes=self._settings.authentication_session_minutes, seconds=2 * SKEW_SECONDS
        )

    async def _onward(self, session: Session, goto: Goto) -> str:
        if goto.org is None or goto.app is None or goto.prefix is None:
            return goto.url
        code = self._sessions.secret()
        await self._store.add_code(
            self._sessions.handle_hash(code),
            OneTimeCode(session.sid, goto.org, goto.app, goto.prefix, self._clock() + timedelta(seconds=CODE_SECONDS)),
        )
        return goto.with_code(code)

    def _choose(self, iss: str | None) -> str:
        for key, provider in self._providers.sign_in.items():
            if iss is not None and iss.rstrip("/") in (key, provider.issuer.rstrip("/")):
                return key
        return self._providers.default


def state_hash(state: str) -> bytes:
    """What is stored of a state, and kept in the browser's cookie as hex."""
    return hashlib.sha256(state.encode()).digest()


def state_cookie(state: str) -> str:
    """The name of the cookie for a state: one per sign-in, so that two tabs work."""
    return f"havn-state-{state_hash(state).hex()[:12]}"


def _same_browser(state: str, cookie: str | None) -> bool:
    return hmac.compare_digest(state_hash(state).hex(), cookie or "")


def _invalid_code() -> Problem:
    return Problem(400, "The sign-in code is not valid any more. Sign in again.", code="invalid_code")
