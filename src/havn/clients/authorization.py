"""Client of the authorization API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import msgspec

from havn.clients import answers
from havn.clients.credentials import Credentials
from havn.contracts import authorization as contract
from havn.kit.http import HttpClient
from havn.kit.problem import Problem

_NAME = "Authorization"
BASE = "/authorization/api/v1"
_JSON = {"content-type": "application/json"}


class AuthorizationClient:
    """Asks the authorization API; `http` points at the platform's internal address."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http

    async def decide(self, request: contract.Request, credentials: Credentials) -> contract.Response:
        """Decisions of the policy decision point.

        503 `Problem` when it could not decide for want of facts (`X-Authz-Fault`), or could not be reached.
        """
        body = msgspec.json.encode(contract.RequestBody(request))
        response = await self._http.request(
            "POST", f"{BASE}/decision", content=body, headers={**_JSON, **credentials.headers()}
        )
        if response.headers.get(contract.FAULT_HEADER):
            raise Problem(
                503,
                "The policy decision point lacks facts just now.",
                code="decision_unavailable",
                headers={"Retry-After": "2"},
            )
        return answers.read(response, contract.Response, of=_NAME)

    async def policy(self, org: str, app: str, credentials: Credentials) -> contract.PolicyFacts | None:
        """The policy in force for an app; None when it has none."""
        response = await self._http.request(
            "GET", f"{BASE}/facts/policies/{quote(org, safe='')}/{quote(app, safe='')}", headers=credentials.headers()
        )
        return None if response.status_code == 404 else answers.read(response, contract.PolicyFacts, of=_NAME)

    async def subject_facts(
        self, subject: contract.SubjectRef, parties: list[int], credentials: Credentials
    ) -> list[contract.SubjectFacts]:
        """What holds between a subject and each of `parties`, in their order."""
        body = msgspec.json.encode(contract.FactsQuery(subject, parties))
        response = await self._http.request(
            "POST", f"{BASE}/facts/subjects", content=body, headers={**_JSON, **credentials.headers()}
        )
        return answers.read(response, list[contract.SubjectFacts], of=_NAME)

    def changes(self, credentials: Credentials) -> AsyncGenerator[contract.Change, None]:
        """The event stream, one change a line, until it ends. 503 `Problem` when it cannot be opened or breaks."""
        opening = self._http.stream("GET", f"{BASE}/events", headers=credentials.headers())
        return answers.lines(opening, contract.Change, of=_NAME)

    async def log(self, batch: contract.LogBatch, credentials: Credentials) -> None:
        """Hand over decisions made elsewhere to the decision log."""
        response = await self._http.request(
            "POST",
            f"{BASE}/decisions/log",
            content=msgspec.json.encode(batch),
            headers={**_JSON, **credentials.headers()},
        )
        if response.status_code >= 400:
            raise answers.failure(response, of=_NAME)

    async def publish_policy(
        self, org: str, app: str, xml: bytes, credentials: Credentials, *, release: str | None = None
    ) -> contract.Published:
        """Publish a policy as an app's next version and put it in force; the component `deploy` does this.

        422 `Problem` with `findings` when the policy cannot be used.
        """
        response = await self._http.request(
            "PUT",
            f"{BASE}/policies/{quote(org, safe='')}/{quote(app, safe='')}",
            content=xml,
            params={"release": release} if release else None,
            headers={"content-type": "application/xml", **credentials.headers()},
        )
        return answers.read(response, contract.Published, of=_NAME)

    async def policy_versions(self, org: str, app: str, credentials: Credentials) -> list[contract.PolicyVersion]:
        """All versions of an app's policy, newest first."""
        response = await self._http.request(
            "GET",
            f"{BASE}/policies/{quote(org, safe='')}/{quote(app, safe='')}/versions",
            headers=credentials.headers(),
        )
        return answers.read(response, list[contract.PolicyVersion], of=_NAME)

    async def activate_policy(
        self, org: str, app: str, version: int, credentials: Credentials, *, reason: str | None = None
    ) -> contract.PolicyVersion:
        """Put an earlier version in force again, as a rollback does."""
        response = await self._http.request(
            "POST",
            f"{BASE}/policies/{quote(org, safe='')}/{quote(app, safe='')}/versions/{version}/activate",
            content=msgspec.json.encode(contract.Activation(reason)),
            headers={**_JSON, **credentials.headers()},
        )
        return answers.read(response, contract.PolicyVersion, of=_NAME)

    async def roles(self, user_id: int, party_id: int, credentials: Credentials) -> list[contract.Role]:
        """The roles a user has for a party; empty when none."""
        response = await self._http.request(
            "GET",
            f"{BASE}/roles",
            params={"coveredByUserId": user_id, "offeredByPartyId": party_id},
            headers=credentials.headers(),
        )
        return [] if response.status_code == 404 else answers.read(response, list[contract.Role], of=_NAME)

    async def parties(self, user_id: int, credentials: Credentials) -> msgspec.Raw:
        """The parties a user may act for, as the register's party tree, undecoded; `[]` when none."""
        response = await self._http.request(
            "GET", f"{BASE}/parties", params={"userId": user_id}, headers=credentials.headers()
        )
        return msgspec.Raw(b"[]") if response.status_code == 404 else answers.read(response, msgspec.Raw, of=_NAME)

    async def validate_party(self, user_id: int, party_id: int, credentials: Credentials) -> bool:
        """Whether a user may act for a party."""
        response = await self._http.request(
            "GET", f"{BASE}/parties/{party_id}/validate", params={"userId": user_id}, headers=credentials.headers()
        )
        return False if response.status_code == 404 else answers.read(response, bool, of=_NAME)

    async def delegate(self, grant: contract.Grant, credentials: Credentials) -> contract.Delegation:
        """Give a right, a role or an access package."""
        response = await self._http.request(
            "POST",
            f"{BASE}/delegations",
            content=msgspec.json.encode(grant),
            headers={**_JSON, **credentials.headers()},
        )
        return answers.read(response, contract.Delegation, of=_NAME)

    async def delegations(self, credentials: Credentials, **filters: Any) -> list[contract.Delegation]:
        """Delegations given by or to a party: filters `fromPartyId`, `toPartyId`, `toUserId`, `includeEnded`."""
        response = await self._http.request("GET", f"{BASE}/delegations", params=filters, headers=credentials.headers())
        return answers.read(response, list[contract.Delegation], of=_NAME)

    async def revoke(self, delegation_id: str, credentials: Credentials) -> None:
        """Take back a delegation and everything passed on from it."""
        response = await self._http.request(
            "DELETE", f"{BASE}/delegations/{quote(delegation_id, safe='')}", headers=credentials.headers()
        )
        if response.status_code >= 400:
            raise answers.failure(response, of=_NAME)
