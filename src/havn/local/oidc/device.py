"""Signing in on another screen (RFC 8628): a code that a command line shows, confirmed here by a person.

The one client is public: the control plane, whose address is nobody's secret. What is under way is kept in memory; who
is interrupted begins again.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from havn.kit.clock import Clock
from havn.local.oidc.directory import Directory
from havn.local.oidc.provider import OAuthError
from havn.local.testdata.dataset import Login

CLIENT_ID = "havn-console"
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_SECONDS = 600
_INTERVAL = 1
_MOST = 200
# Without vowels, so that no code is a word (RFC 8628 section 6.1).
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


class _Pending(msgspec.Struct):
    user_code: str
    until: float
    person: Login | None = None
    refused: bool = False


class Devices:
    """The sign-ins under way."""

    def __init__(self, directory: Directory, clock: Clock, issuer: str, sign: Callable[[Login, str], str]) -> None:
        """`sign` makes the ID token of a person for a client."""
        self._directory = directory
        self._clock = clock
        self._issuer = issuer
        self._sign = sign
        self._pending: dict[str, _Pending] = {}

    def begin(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer of POST /device_authorization. Raises `OAuthError`."""
        self._check_client(form)
        if "openid" not in form.get("scope", "").split():
            raise OAuthError("invalid_scope", "scope must hold openid.")
        now = self._clock().timestamp()
        self._pending = {code: each for code, each in self._pending.items() if each.until > now}
        if len(self._pending) >= _MOST:
            raise OAuthError("slow_down", "Too many sign-ins are under way.", 503)
        letters = "".join(secrets.choice(_LETTERS) for _ in range(8))
        user_code = f"{letters[:4]}-{letters[4:]}"
        device_code = secrets.token_urlsafe(32)
        self._pending[device_code] = _Pending(user_code, now + _SECONDS)
        return {
            "device_code": device_code,
            "user_code": user_code,
            "verification_uri": f"{self._issuer}/device",
            "verification_uri_complete": f"{self._issuer}/device?user_code={user_code}",
            "expires_in": _SECONDS,
            "interval": _INTERVAL,
        }

    def confirm(self, user_code: str, who: str | None) -> bool:
        """Let a person be who signs in with the code, or refuse with None; false for a code that is not under way."""
        letters = "".join(c for c in user_code.upper() if c in _LETTERS)
        now = self._clock().timestamp()
        for each in self._pending.values():
            if each.user_code.replace("-", "") == letters and each.until > now and each.person is None:
                each.person = self._directory.find(who) if who is not None else None
                each.refused = who is None
                return each.refused or each.person is not None
        return False

    def redeem(self, form: Mapping[str, str]) -> dict[str, Any]:
        """Answer of POST /token for a device code; good once. Raises `OAuthError`."""
        self._check_client(form)
        code = form.get("device_code", "")
        found = self._pending.get(code)
        if found is None or found.until <= self._clock().timestamp():
            raise OAuthError("expired_token", "The code is not known or too old.")
        if found.refused:
            del self._pending[code]
            raise OAuthError("access_denied", "The person refused.")
        if found.person is None:
            raise OAuthError("authorization_pending", "Nobody has confirmed yet.")
        del self._pending[code]
        token = self._sign(found.person, CLIENT_ID)
        return {"access_token": secrets.token_urlsafe(32), "token_type": "Bearer", "expires_in": 60, "id_token": token}

    def _check_client(self, form: Mapping[str, str]) -> None:
        if form.get("client_id") != CLIENT_ID:
            raise OAuthError("invalid_client", "The client is not known.", 401)
