"""Routes of promotions and approvals."""

from __future__ import annotations

from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.deploy import Deployment
from havn.contracts.promotion import Approval, ApprovalStatus, DecisionRequest, PromoteRequest
from havn.deploy.endpoints import BASE, Endpoint, any_org, body, caller, in_body
from havn.deploy.promotion.gate import Gate
from havn.deploy.promotion.store import Approvals, unknown
from havn.deploy.replicas import check_replicas
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response

_MAX_COMMENT = 500


class PromotionApi:
    """Handlers."""

    def __init__(self, gate: Gate, approvals: Approvals, clock: Clock) -> None:
        self._gate = gate
        self._approvals = approvals
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """The rows of the table."""
        one = "/approvals/{number:int}"
        filters = {"status": "waiting, approved, rejected or expired", "org": "only this org"}
        return [
            Endpoint(method="POST", path="/promotions", handler=self._promote, role="deploy", org=in_body,
                     body=PromoteRequest, answer=Deployment | Approval, status=202),
            Endpoint(method="GET", path="/approvals", handler=self._list, role="look", org=any_org,
                     answer=list[Approval], query=filters),
            Endpoint(method="GET", path=one, handler=self._one, role="look", org=self._org_of, answer=Approval),
            Endpoint(method="POST", path=f"{one}/approve", handler=self._approve, role="approve", org=self._org_of,
                     body=DecisionRequest, answer=Deployment, status=202),
            Endpoint(method="POST", path=f"{one}/reject", handler=self._reject, role="look", org=self._org_of,
                     body=DecisionRequest, answer=Approval),
        ]  # fmt: skip

    async def _promote(self, request: Request) -> Response:
        """Put what runs in one environment into another: a deployment, or what waits for an approval."""
        asked = body(request, PromoteRequest)
        if asked.replicas is not None:
            check_replicas(asked.replicas)
        return answer(await self._gate.promote(asked, caller(request)))

    async def _list(self, request: Request) -> Response:
        """The newest approvals, of the orgs that the caller may see."""
        status, org = request.query_params.get("status"), request.query_params.get("org")
        if status is not None and status not in get_args(ApprovalStatus):
            raise Problem(400, f"The status is one of {', '.join(get_args(ApprovalStatus))}.", code="invalid_status")
        if org is not None:
            caller(request).require("look", org)
        seen = caller(request).orgs("look")
        found = await self._approvals.listed(status, org, self._clock())  # type: ignore[arg-type]
        return json_response([each for each in found if seen is None or each.org in seen])

    async def _one(self, request: Request) -> Response:
        """One approval."""
        found = await self._approvals.find(request.path_params["number"])
        if found is None:
            raise unknown()
        return json_response(found)

    async def _approve(self, request: Request) -> Response:
        """Begin what somebody else has asked for."""
        number, comment = request.path_params["number"], _comment(request)
        return answer(await self._approvals.approve(number, caller(request), comment, self._clock()))

    async def _reject(self, request: Request) -> Response:
        """Turn down what somebody has asked for, or take one's own back."""
        number, comment = request.path_params["number"], _comment(request)
        return json_response(await self._approvals.reject(number, caller(request), comment, self._clock()))

    async def _org_of(self, request: Request) -> str | None:
        found = await self._approvals.find(request.path_params["number"])
        if found is None:
            raise unknown()
        return found.org


def answer(asked: Deployment | Approval) -> Response:
    """What has come of asking for a deployment, with where to follow it."""
    kind = "deployments" if isinstance(asked, Deployment) else "approvals"
    return json_response(asked, 202, {"location": f"{BASE}/{kind}/{asked.id}"})


def _comment(request: Request) -> str | None:
    comment = body(request, DecisionRequest).comment
    if comment is not None and len(comment) > _MAX_COMMENT:
        raise Problem(400, f"A comment has at most {_MAX_COMMENT} characters.", code="comment_too_long")
    return comment
