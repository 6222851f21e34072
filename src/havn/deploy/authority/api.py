"""Routes of clusters' authorities in the control plane's API: which there are, and changing them."""

from __future__ import annotations

from cryptography import x509
from starlette.requests import Request
from starlette.responses import Response

from havn.contracts.estate import AuthorityInfo
from havn.deploy.authority.keeper import Keeper
from havn.deploy.authority.store import Row
from havn.deploy.endpoints import Endpoint, caller
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response


class AuthorityApi:
    """Translates between HTTP and the keeper."""

    def __init__(self, keeper: Keeper, clock: Clock) -> None:
        self._keeper = keeper
        self._clock = clock

    def endpoints(self) -> list[Endpoint]:
        """Every route."""
        place = "/environments/{environment}/orgs/{org}/authority"
        return [
            Endpoint(method="GET", path=place, handler=self._list, role="look", answer=list[AuthorityInfo]),
            Endpoint(method="POST", path=f"{place}/rotate", handler=self._rotate, role="administer",
                     answer=list[AuthorityInfo]),
        ]  # fmt: skip

    async def _list(self, request: Request) -> Response:
        """The authorities of an org's cluster: the one that signs, and during a change another."""
        return json_response([_info(row) for row in await self._known(request)])

    async def _rotate(self, request: Request) -> Response:
        """Begin to change the authority of an org's cluster."""
        operator, (environment, org) = caller(request), _place(request)
        await self._known(request)
        await self._keeper.rotate(environment, org)
        await self._keeper.store.audit(
            environment, org, who=operator.name, address=operator.address, action="authority_rotated",
            now=self._clock(),
        )  # fmt: skip
        await self._keeper.store.request(environment, org)
        return json_response([_info(row) for row in await self._known(request)])

    async def _known(self, request: Request) -> list[Row]:
        environment, org = _place(request)
        found = await self._keeper.store.all(environment, org)
        if not found:
            raise Problem(
                404, f"No cluster of {org[:60]} in {environment[:60]} has an authority yet.", code="no_authority"
            )
        return found


def _place(request: Request) -> tuple[str, str]:
    return request.path_params["environment"], request.path_params["org"]


def _info(row: Row) -> AuthorityInfo:
    until = x509.load_pem_x509_certificate(row.certificate.encode()).not_valid_after_utc
    return AuthorityInfo(number=row.number, state=row.state, since=row.since, until=until)
