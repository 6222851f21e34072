"""Antiforgery for browser sessions: a signed double-submit pair, bound to the signed-in user and session.

`AS-XSRF-TOKEN` (HttpOnly) holds a random secret; `XSRF-TOKEN` (readable by script) holds an HMAC over that secret and
the caller. A post must send the second one back in the header `X-XSRF-TOKEN` or a form field. A site that can make a
browser post cannot read either; one that can set cookies on the host cannot make a pair without the key.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets

from starlette.requests import Request
from starlette.responses import Response

from havn.guard.middleware import from_cookie, principal
from havn.guard.principal import Principal
from havn.kit.problem import Problem

SECRET_COOKIE = "AS-XSRF-TOKEN"  # noqa: S105 - the name of a cookie, not its content
REQUEST_COOKIE = "XSRF-TOKEN"
HEADER = "X-XSRF-TOKEN"
FIELD = "__RequestVerificationToken"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


class Antiforgery:
    """Issues and checks token pairs with one HMAC key (at least 32 bytes, shared by an app's replicas)."""

    def __init__(self, key: bytes, *, secure: bool = True, path: str = "/") -> None:
        if len(key) < 32:
            raise ValueError("an antiforgery key has at least 32 bytes")
        self._key = key
        self._secure = secure
        self._path = path

    def issue(self, request: Request, response: Response) -> str:
        """Set the pair on `response` and return the request half, for a hidden form field.

        A browser that already holds a good secret keeps it, so that pages open in other tabs go on working.
        """
        secret = request.cookies.get(SECRET_COOKIE, "")
        if not _plausible(secret):
            secret = secrets.token_urlsafe(32)
        token = self.request_token(secret, principal(request))
        for name, value, hidden in ((SECRET_COOKIE, secret, True), (REQUEST_COOKIE, token, False)):
            response.set_cookie(name, value, path=self._path, secure=self._secure, httponly=hidden, samesite="lax")
        return token

    def request_token(self, secret: str, caller: Principal) -> str:
        """The request half that belongs to `secret` and `caller`."""
        # Length-prefixed parts: no two callers make the same message.
        parts = [secret, caller.kind.value, caller.performed_by(), caller.sid or ""]
        message = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
        return base64.urlsafe_b64encode(hmac.digest(self._key, message, hashlib.sha256)).rstrip(b"=").decode()

    async def check(self, request: Request) -> None:
        """400 `Problem` (code `antiforgery`) unless the request carries a pair that belongs to its caller.

        Checked only for unsafe methods whose caller is known by cookie: bearer callers are not a browser's doing.
        """
        if request.method in SAFE_METHODS or not from_cookie(request):
            return
        secret = request.cookies.get(SECRET_COOKIE, "")
        sent = request.headers.get(HEADER)
        if sent is None and request.headers.get("content-type", "").partition(";")[0].strip().lower() in _FORMS:
            value = (await request.form()).get(FIELD)
            sent = value if isinstance(value, str) else None
        expected = self.request_token(secret, principal(request)) if _plausible(secret) else ""
        if not sent or not expected or not hmac.compare_digest(sent.encode(), expected.encode()):
            raise Problem(400, "The page is too old or was sent from elsewhere: load it again.", code="antiforgery")


def _plausible(secret: str) -> bool:
    return 32 <= len(secret) <= 128 and secret.isascii()
