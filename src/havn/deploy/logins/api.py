"""Routes for signing in and out, for roles, and for machines' tokens."""

from __future__ import annotations

import secrets
from datetime import timedelta

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.estate import (
    CiToken,
    CiTokenRequest,
    Grant,
    GrantRequest,
    LoginInfo,
    LoginPoll,
    Session,
    WhoAmI,
)
from havn.deploy.access import ALL_ORGS, bearer, caller_address
from havn.deploy.endpoints import Endpoint, any_org, body, caller, in_body
from havn.deploy.logins.access import CI, SESSION, digest, new_token
from havn.deploy.logins.provider import DeviceLogin, Waiting
from havn.deploy.logins.rate import CallRate
from havn.deploy.logins.store import LoginStore, no_such_token
from havn.engines.limits import Bucket
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response

SESSION_TIME = timedelta(hours=12)
_LONGEST_DAYS = 400
_NO_STORE = {"cache-control": "no-store"}
# For an office behind one address: it begins to sign in so often a minute, and asks every few seconds how it went.
_BEGIN = Bucket.rate(20, 60)
_POLL = Bucket.rate(240, 60)


class LoginApi:
    """Translates between HTTP and the rows. `login` is None where nobody signs in, but by a file's token."""

    def __init__(self, store: LoginStore, login: DeviceLogin | None, clock: Clock) -> None:
        self._store = store
        self._login = login
        self._clock = clock
        self._begun = CallRate(store, clock, "login", _BEGIN)
        self._polled = CallRate(store, clock, "login token", _POLL)

    def endpoints(self) -> list[Endpoint]:
        """Every route."""
        return [
            Endpoint(method="POST", path="/login", handler=self._begin, role=None, answer=LoginInfo),
            Endpoint(method="POST", path="/login/token", handler=self._poll, role=None, body=LoginPoll,
                     answer=Session),
            Endpoint(method="POST", path="/logout", handler=self._logout, role=None, signed_in=True, status=204),
            Endpoint(method="GET", path="/whoami", handler=self._whoami, role=None, signed_in=True, answer=WhoAmI),
            Endpoint(method="GET", path="/access", handler=self._list, role="administer", org=any_org,
                     answer=list[Grant]),
            Endpoint(method="POST", path="/access", handler=self._grant, role="administer", org=in_body,
                     body=GrantRequest, status=204),
            Endpoint(method="POST", path="/access/revoke", handler=self._revoke, role="administer", org=in_body,
                     body=GrantRequest, status=204),
            Endpoint(method="GET", path="/ci-tokens", handler=self._tokens, role="administer", org=any_org,
                     answer=list[CiToken]),
            Endpoint(method="POST", path="/ci-tokens", handler=self._make, role="administer", org=in_body,
                     body=CiTokenRequest, answer=CiToken, status=201),
            Endpoint(method="DELETE", path="/ci-tokens/{id}", handler=self._end, role="administer", org=any_org,
                     status=204),
        ]  # fmt: skip

    async def _begin(self, request: Request) -> Response:
        """Begin to sign in: a code, and where a person confirms it."""
        provider = self._provider()
        await self._begun.check(caller_address(request))
        return json_response(await provider.begin(), headers=_NO_STORE)

    async def _poll(self, request: Request) -> Response:
        """The control plane's token, once the person has confirmed."""
        provider = self._provider()
        await self._polled.check(caller_address(request))
        found = await provider.redeem(body(request, LoginPoll).device_code)
        if isinstance(found, Waiting):
            return json_response(Session(waiting=True, interval=found.interval), headers=_NO_STORE)
        token, kept = new_token(SESSION)
        now = self._clock()
        expires = now + SESSION_TIME
        await self._store.begin_session(kept, found, now, expires, caller_address(request))
        session = Session(token=token, expires=expires, subject=found.subject, name=found.name)
        return json_response(session, headers=_NO_STORE)

    async def _logout(self, request: Request) -> Response:
        """End the session of the token that is shown."""
        await self._store.end_session(digest(bearer(request)))
        return Response(status_code=204)

    async def _whoami(self, request: Request) -> Response:
        """Who the caller is, and what they may do."""
        operator = caller(request)
        grants = [
            Grant(subject=operator.subject, org=org, role=role)
            for org, roles in sorted(operator.grants.items())
            for role in sorted(roles)
        ]
        return json_response(WhoAmI(subject=operator.subject, name=operator.name, grants=grants))

    async def _list(self, request: Request) -> Response:
        """Who holds which role, for the orgs that the caller administers."""
        return json_response(await self._store.all_grants(caller(request).orgs("administer")))

    async def _grant(self, request: Request) -> Response:
        """Give somebody a role for an org, or for all (`*`)."""
        asked = body(request, GrantRequest)
        if not 0 < len(asked.subject) <= 255 or not asked.subject.isprintable() or not _is_org(asked.org):
            raise Problem(400, "A role is given to a subject, for an org or for `*`.", code="invalid_grant")
        await self._store.grant(asked.subject, asked.org, asked.role, caller(request), self._clock())
        return Response(status_code=204)

    async def _revoke(self, request: Request) -> Response:
        """Take a role back."""
        asked = body(request, GrantRequest)
        done = await self._store.revoke(asked.subject, asked.org, asked.role, caller(request), self._clock())
        if not done:
            raise Problem(404, "That role is not held: see `havn access list`.", code="unknown_grant")
        return Response(status_code=204)

    async def _tokens(self, request: Request) -> Response:
        """The tokens of machines, for the orgs that the caller administers; never the tokens themselves."""
        return json_response(await self._store.tokens(caller(request).orgs("administer")))

    async def _make(self, request: Request) -> Response:
        """Make a token for a machine. It is shown this once."""
        asked, by, now = body(request, CiTokenRequest), caller(request), self._clock()
        if not 0 < len(asked.name.strip()) <= 60 or not asked.name.isprintable() or not _is_org(asked.org):
            raise Problem(400, "A token has a name of up to 60 characters, and an org or `*`.", code="invalid_token")
        if not 1 <= asked.days <= _LONGEST_DAYS or not asked.roles:
            raise Problem(400, f"A token has a role, and ends after 1 to {_LONGEST_DAYS} days.", code="invalid_token")
        token, kept = new_token(CI)
        roles = sorted(set(asked.roles))
        made = CiToken(
            id=secrets.token_hex(5),
            name=asked.name.strip(),
            grants=[],
            created=now,
            created_by=by.name,
            expires=now + timedelta(days=asked.days),
            last_used=None,
            revoked=None,
            token=token,
        )
        await self._store.add_token(kept, made, asked.org, roles, by, now)
        grants = await self._store.grants(f"token:{made.id}")
        return json_response(msgspec.structs.replace(made, grants=grants), 201, _NO_STORE)

    async def _end(self, request: Request) -> Response:
        """End a machine's token at once."""
        id_, by = request.path_params["id"], caller(request)
        seen = by.orgs("administer")
        mine = await self._store.tokens(seen)
        found = next((each for each in mine if each.id == id_), None)
        # Whoever ends a token must administer all that it may do.
        if found is None or not all(by.may("administer", grant.org) for grant in found.grants):
            raise no_such_token(id_)
        if not await self._store.revoke_token(id_, by, self._clock()):
            raise no_such_token(id_)
        return Response(status_code=204)

    def _provider(self) -> DeviceLogin:
        if self._login is None:
            raise Problem(404, "Nobody signs in to this control plane: it has no provider.", code="no_provider")
        return self._login


def _is_org(org: str) -> bool:
    return org == ALL_ORGS or (org.isascii() and org.isalnum() and org.islower() and 0 < len(org) <= 20)
