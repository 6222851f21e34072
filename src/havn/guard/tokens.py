"""Verifying the platform's tokens (RFC 7519 with RFC 8725's advice) and turning them into a `Principal`."""

from __future__ import annotations

import base64
import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError

from havn.guard.jwks import KeyCache
from havn.guard.principal import ClaimsError, Principal, from_claims
from havn.kit.clock import Clock
from havn.kit.problem import Problem

ALGORITHMS = ("RS256", "PS256", "ES256")
MAX_TOKEN = 16 * 1024
SKEW_SECONDS = 10
_REMEMBERED = 4096


class Revocations(Protocol):
    """Which sessions have ended before their tokens did."""

    def revoked(self, sid: str) -> bool:
        """Whether the session `sid` has ended."""


class AudienceRule(msgspec.Struct, frozen=True):
    """Which `aud` values a part accepts: the platform's own address, owners' hosts, or one owner's host only.

    Build it with `platform` or `owner`.
    """

    accepted: str | None
    owner_prefix: str
    owner_suffix: str
    only_org: str | None = None

    @classmethod
    def platform(cls, *, scheme: str, domain: str) -> AudienceRule:
        """For a platform API: tokens for the platform, and tokens for any one owner's apps, which apps pass on."""
        return cls(f"{scheme}://platform.{domain}", f"{scheme}://", f".apps.{domain}")

    @classmethod
    def owner(cls, *, scheme: str, domain: str, org: str) -> AudienceRule:
        """For an app: tokens for its own owner's host only."""
        return cls(None, f"{scheme}://", f".apps.{domain}", org)

    @classmethod
    def only(cls, address: str) -> AudienceRule:
        """For one host of the platform's own, such as its pages: tokens for that address and no other."""
        # No owner has an empty code, so that nothing but the address matches.
        return cls(address, "", "", only_org="")

    def match(self, aud: Any) -> tuple[bool, str | None]:
        """Whether `aud` (text or a list) is acceptable, and the owner it is for.

        A token that names several owners' hosts and not the platform is for nobody in particular, so it is refused.
        """
        values = [aud] if isinstance(aud, str) else aud
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            return False, None
        if self.accepted is not None and self.accepted in values:
            return True, None
        owners = {
            org
            for value in values
            if value.startswith(self.owner_prefix)
            and value.endswith(self.owner_suffix)
            and (org := value[len(self.owner_prefix) : -len(self.owner_suffix)]).isalnum()
        }
        if self.only_org is not None:
            return self.only_org in owners, self.only_org
        return len(owners) == 1, next(iter(owners), None)


class _Header(msgspec.Struct):
    alg: str
    kid: str
    typ: str | None = None
    crit: Any = None


class TokenVerifier:
    """Verifies tokens of one issuer; one per process.

    Signature against the issuer's published keys, issuer exact, algorithm from a fixed list, audience by rule, `exp`
    required and `nbf` kept with ten seconds' skew, at most 16 KiB, and not of a session that has ended.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audiences: AudienceRule,
        jwks: Callable[[], Awaitable[Mapping[str, Any]]],
        clock: Clock,
        revoked: Revocations | None = None,
    ) -> None:
        self._issuer = issuer
        self._audiences = audiences
        self._keys = KeyCache(jwks, clock=clock)
        self._clock = clock
        self._revoked = revoked
        # Signature checks cost 50-100 µs: a token seen before is only checked for time, keys and revocation.
        self._seen: OrderedDict[bytes, tuple[int, float, float, str, Principal]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """The caller, or a 401 `Problem` with a `WWW-Authenticate` header (RFC 6750 section 3).

        Its code is `token_expired`, `session_ended` or `invalid_token`. 503 when the issuer's keys cannot be fetched.
        """
        if len(token) > MAX_TOKEN:
            raise unauthorized("The token is too large.")
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        remembered = self._seen.get(digest)
        if remembered is not None:
            # Through the key cache even so, since that is what notices a withdrawn key.
            await self._keys.find(remembered[3])
            if remembered[0] == self._keys.generation:
                self._check_times(remembered[1], remembered[2])
                self._check_session(remembered[4])
                self._seen.move_to_end(digest)
                return remembered[4]
            del self._seen[digest]
        header = read_header(token)
        claims = await verify_signature(token, header, self._keys)
        if claims.get("iss") != self._issuer:
            raise unauthorized("The token has another issuer.")
        accepted, org = self._audiences.match(claims.get("aud"))
        if not accepted:
            raise unauthorized("The token is for another audience.")
        expires, not_before = claim_times(claims)
        self._check_times(expires, not_before)
        try:
            principal = from_claims(claims, token=token, audience_org=org)
        except ClaimsError as error:
            raise unauthorized(f"The token cannot be used: {error}.") from None
        self._check_session(principal)
        self._seen[digest] = (self._keys.generation, expires, not_before, header.kid, principal)
        if len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return principal

    def _check_times(self, expires: float, not_before: float) -> None:
        check_times(expires, not_before, self._clock)

    def _check_session(self, principal: Principal) -> None:
        if self._revoked is not None and principal.sid is not None and self._revoked.revoked(principal.sid):
            raise unauthorized("The session has ended.", code="session_ended")


def read_header(token: str) -> _Header:
    """The protected header of a compact JWS; 401 when it is not one, or not of a kind we accept."""
    head, dot, rest = token.partition(".")
    if not dot or rest.count(".") != 1 or len(head) > 1024:
        raise unauthorized("The token is not a signed token.")
    try:
        header = msgspec.json.decode(_base64url(head), type=_Header)
    except (ValueError, msgspec.MsgspecError):
        raise unauthorized("The token's header cannot be read.") from None
    if header.alg not in ALGORITHMS or header.crit is not None:
        raise unauthorized("The token is signed in a way that is not accepted.")
    return header


async def verify_signature(token: str, header: _Header, keys: KeyCache) -> dict[str, Any]:
    """The claims, once the signature holds; otherwise 401 (503 when the keys cannot be fetched)."""
    found = await keys.find(header.kid)
    if found is None:
        raise unauthorized("The token is signed with an unknown key.")
    key, members = found
    if members.get("alg", header.alg) != header.alg:
        raise unauthorized("The token is signed in a way that its key does not allow.")
    try:
        return dict(jwt.decode(token, key, algorithms=[header.alg]).claims)
    except (JoseError, ValueError, TypeError, RecursionError):
        raise unauthorized("The token's signature does not hold.") from None


def claim_times(claims: Mapping[str, Any]) -> tuple[float, float]:
    """`exp` (required) and `nbf` (0 when absent), in seconds since 1970; 401 when they are not numbers."""
    expires, not_before = claims.get("exp"), claims.get("nbf", 0)
    for value in (expires, not_before):
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise unauthorized("The token does not say when it is valid.")
    assert expires is not None
    return float(expires), float(not_before)


def check_times(expires: float, not_before: float, clock: Clock) -> None:
    """401 outside the token's time, with ten seconds' skew."""
    now = clock().timestamp()
    if now >= expires + SKEW_SECONDS:
        raise unauthorized("The token has expired.", code="token_expired")
    if now < not_before - SKEW_SECONDS:
        raise unauthorized("The token is not valid yet.")


def unauthorized(detail: str, *, code: str = "invalid_token") -> Problem:
    """A 401 with the challenge that RFC 6750 asks for; `detail` never holds anything of the token."""
    challenge = f'Bearer error="invalid_token", error_description="{detail}"'
    return Problem(401, detail, code=code, headers={"WWW-Authenticate": challenge})


def _base64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
