"""Who is calling: the deployment's own token in `Proxy-Authorization`, verified, then remembered for a short while."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from datetime import timedelta

from havn.guard.platform_token import Caller, PlatformTokenVerifier
from havn.kit.clock import Clock
from havn.kit.http1.head import RequestHead
from havn.kit.problem import Problem

AUDIENCE = "egress"
_REMEMBERED = 4096
_MEMORY = timedelta(seconds=20)


class NoIdentity(Exception):
    """The request does not prove which app it comes from; `code` says how."""

    def __init__(self, detail: str, code: str, status: int = 407) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status


class Identities:
    """Callers by token. A withdrawn key or an ended token stops working within 20 seconds."""

    def __init__(self, verifier: PlatformTokenVerifier, clock: Clock) -> None:
        self._verifier = verifier
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def caller(self, request: RequestHead) -> Caller:
        """The app behind `request`. Raises `NoIdentity`."""
        given = [value for name, value in request.fields if name == b"proxy-authorization"]
        if len(given) != 1 or given[0][:7].lower() != b"bearer ":
            raise NoIdentity("A token of the calling app is needed in Proxy-Authorization.", "identity_missing")
        token = given[0][7:].strip()
        key = hashlib.sha256(token).digest()
        now = self._clock().timestamp()
        known = self._known.get(key)
        # A clock set back makes the memory seem longer; then the token is simply looked at again.
        if known is not None and 0 <= known[0] - now <= _MEMORY.total_seconds():
            return known[1]
        try:
            caller = await self._verifier.verify(token.decode("ascii"))
        except UnicodeDecodeError:
            raise NoIdentity("The token is not valid.", "identity_invalid") from None
        except Problem as problem:
            if problem.status == 503:
                raise NoIdentity("The keys of apps cannot be fetched just now.", "keys_unavailable", 503) from problem
            raise NoIdentity(problem.detail or "The token is not valid.", "identity_invalid") from problem
        self._known[key] = (now + _MEMORY.total_seconds(), caller)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return caller
