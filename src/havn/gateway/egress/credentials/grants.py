"""The two token requests: OAuth 2.0 client credentials (RFC 6749), and Maskinporten's JWT bearer grant (RFC 7523)."""

from __future__ import annotations

import base64
import uuid
from typing import Any
from urllib.parse import quote

import msgspec
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from havn.engines.egress_policy.model import MaskinportenCredential, OAuth2Credential
from havn.gateway.egress.credentials.fetching import FetchFailed, TokenServers
from havn.gateway.egress.credentials.tokens import Token, TokenAway
from havn.kit.clock import Clock
from havn.kit.http1.head import Field

_ASSERTION_SECONDS = 120
_DEFAULT_SECONDS = 300.0
_LONGEST_SECONDS = 86_400.0


class _Answer(msgspec.Struct):
    access_token: str
    expires_in: float = _DEFAULT_SECONDS


async def client_credentials(servers: TokenServers, credential: OAuth2Credential, secret: str) -> Token:
    """A token for the client itself. Raises `TokenAway`."""
    form = {"grant_type": "client_credentials"}
    if credential.scopes:
        form["scope"] = " ".join(credential.scopes)
    if credential.audience:
        form["audience"] = credential.audience
    fields: list[Field] = []
    if credential.client_auth == "basic":
        # RFC 6749 section 2.3.1: both are form-encoded before they are joined.
        pair = f"{quote(credential.client_id, safe='')}:{quote(secret, safe='')}"
        fields.append((b"authorization", b"Basic " + base64.b64encode(pair.encode())))
    else:
        form |= {"client_id": credential.client_id, "client_secret": secret}
    return await _ask(servers, credential.token_url, form, fields)


async def maskinporten(servers: TokenServers, credential: MaskinportenCredential, secret: str, clock: Clock) -> Token:
    """A token for an assertion signed with the client's key. Raises `TokenAway`."""
    now = int(clock().timestamp())
    claims: dict[str, Any] = {
        "aud": credential.audience,
        "iss": credential.issuer,
        "scope": " ".join(credential.scopes),
        "iat": now,
        "exp": now + _ASSERTION_SECONDS,
        "jti": str(uuid.uuid4()),
    }
    if credential.resource:
        claims["resource"] = credential.resource
    if credential.consumer_org:
        claims["consumer_org"] = credential.consumer_org
    try:
        key = jwk.import_key(msgspec.json.decode(secret, type=dict[str, Any]))
        algorithm = "RS256" if key.key_type == "RSA" else "ES256"
        header = {"alg": algorithm, "kid": key.kid or key.thumbprint()}
        assertion = jwt.encode(header, claims, key, algorithms=[algorithm])
    except (JoseError, msgspec.MsgspecError, ValueError, TypeError, KeyError):
        raise TokenAway("the secret is no private JWK") from None
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
    return await _ask(servers, credential.token_url, form, [])


async def _ask(servers: TokenServers, url: str, form: dict[str, str], fields: list[Field]) -> Token:
    try:
        status, body = await servers.post(url, form, fields)
    except FetchFailed as error:
        raise TokenAway(str(error)) from None
    if status != 200:
        raise TokenAway(f"the token server answered {status}")
    try:
        answer = msgspec.json.decode(body, type=_Answer)
    except msgspec.MsgspecError:
        raise TokenAway("the token server's answer cannot be read") from None
    if not answer.access_token or not all("!" <= mark <= "~" for mark in answer.access_token):
        raise TokenAway("the token server's answer cannot be read")
    return Token(answer.access_token, min(max(answer.expires_in, 1.0), _LONGEST_SECONDS))
