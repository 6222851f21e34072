"""Signing out: the session ends at once, then the browser clears each owner's host, then the provider's own session."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import msgspec

from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authentication.sessions import Sessions
from havn.platform.authentication.settings import Settings
from havn.platform.authentication.sign_in import SignIn
from havn.platform.authentication.store import Logout, SessionHost, Store
from havn.platform.authentication.upstream import Remote, Upstream

_SECONDS = 600
_BACKCHANNEL_EVENT = "http://schemas.openid.net/event/backchannel-logout"


class Step(msgspec.Struct, frozen=True):
    """Send the browser to `url`, keeping `logout` in its cookie."""

    url: str
    logout: str


class SignOut:
    """The sign-out flow (OpenID Connect RP-initiated, front-channel and back-channel logout)."""

    def __init__(
        self,
        settings: Settings,
        upstreams: Mapping[str, Upstream],
        store: Store,
        sessions: Sessions,
        sign_in: SignIn,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._upstreams = upstreams
        self._store = store
        self._sessions = sessions
        self._sign_in = sign_in
        self._clock = clock

    async def begin(self, handle: str | None) -> str:
        """End the session of a cookie, if there is one; returns what the browser keeps to be led onwards."""
        now = self._clock()
        ended = []
        if handle:
            ended = await self._store.end_sessions(
                now=now,
                revoked_until=self._sign_in.tokens_end(),
                reason="signed out",
                handle_hash=self._sessions.handle_hash(handle),
            )
        hosts = [host for _, visited in ended for host in visited]
        provider = ended[0][0].provider if ended else None
        goto = self._home(hosts[0]) if hosts else None
        logout = self._sessions.secret()
        await self._store.add_logout(
            self._sessions.handle_hash(logout),
            Logout(provider, hosts, goto),
            expires=now + timedelta(seconds=_SECONDS),
        )
        return logout

    async def next(self, logout: str) -> Step | None:
        """The next place to send the browser to; None when this sign-out is not known."""
        found = await self._store.next_logout_step(self._sessions.handle_hash(logout), self._clock())
        if found is None:
            return None
        state, host = found
        if host is not None:
            # That address clears its cookies and comes back here.
            return Step(f"{self._home(host)}api/authentication/logout", logout)
        done = f"{self._settings.base}/logout/handleloggedout"
        upstream = self._upstreams.get(state.provider or "")
        if upstream is not None:
            try:
                done = await upstream.end_session_url(done, state=logout[:16]) or done
            except Problem:
                # The provider is away: signed out here all the same.
                return Step(done, logout)
        return Step(done, logout)

    async def finished(self, logout: str | None) -> str | None:
        """The app's start page to offer after a sign-out."""
        return await self._store.take_logout(self._sessions.handle_hash(logout)) if logout else None

    async def from_provider(self, issuer: str, sid: str) -> None:
        """The provider ended its session `sid` (front-channel): end ours that came of it."""
        for upstream in self._upstreams.values():
            if upstream.provider.issuer.rstrip("/") == issuer.rstrip("/"):
                await self._end_upstream(upstream, sid, None)

    async def from_logout_token(self, token: str) -> None:
        """The provider's back-channel logout token: checked, then the sessions it names end. 400 when not valid."""
        for upstream in self._upstreams.values():
            claims = await _logout_claims(upstream.remote, token, upstream)
            if claims is None:
                continue
            sid, sub = claims.get("sid"), claims.get("sub")
            if isinstance(sid, str) or isinstance(sub, str):
                await self._end_upstream(
                    upstream, sid if isinstance(sid, str) else None, sub if isinstance(sub, str) else None
                )
                return
        raise Problem(400, "The logout token is not valid.", code="invalid_logout_token")

    async def _end_upstream(self, upstream: Upstream, sid: str | None, sub: str | None) -> None:
        await self._store.end_sessions(
            now=self._clock(),
            revoked_until=self._sign_in.tokens_end(),
            reason="signed out at the provider",
            upstream=(upstream.provider.issuer, sid, sub),
        )

    def _home(self, host: SessionHost) -> str:
        origin = self._settings.host_origin(host.org)
        return f"{origin}/{host.prefix}/" if host.prefix else f"{origin}/"


async def _logout_claims(remote: Remote, token: str, upstream: Upstream) -> dict[str, object] | None:
    try:
        claims = await remote.verified(
            token, algorithms=upstream.provider.algorithms, audiences=[upstream.provider.client_id]
        )
    except Problem as problem:
        if problem.status == 401:
            return None
        raise
    events = claims.get("events")
    if not isinstance(events, dict) or _BACKCHANNEL_EVENT not in events or "nonce" in claims:
        return None
    return claims
