"""Routes of secrets in the control plane's API: of an app, of a whole org, and changing the key that seals them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from havn.appfolder.ids import ORG, AppId
from havn.contracts.deploy import Deployment
from havn.contracts.secrets import RekeyAnswer, RekeyRequest, SecretChange, SecretInfo, SecretRequest
from havn.deploy.access import Operator
from havn.deploy.author import Author
from havn.deploy.endpoints import Endpoint, all_orgs, body, caller
from havn.deploy.environments import Environments
from havn.deploy.sealing import Identities, SealError
from havn.deploy.secrets.store import Scope, Version
from havn.deploy.secrets.vault import Vault
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response

T = TypeVar("T")

# Every character of a value may take six in JSON.
_BODY = 500_000

Redeploy = Callable[[Scope, Operator], Awaitable[list[Deployment]]]
"""Deploys anew what is given the secrets of a scope."""


class SecretsApi:
    """Translates between HTTP and the vault."""

    def __init__(
        self,
        vault: Vault,
        *,
        environments: Environments,
        identities: Identities,
        redeploy: Redeploy,
        clock: Clock,
        also_sealed: Sequence[Callable[[], Awaitable[int]]] = (),
    ) -> None:
        """`also_sealed` seal anew what others keep sealed with the same identities."""
        self._vault = vault
        self._environments = environments
        self._identities = identities
        self._redeploy = redeploy
        self._clock = clock
        self._also_sealed = also_sealed

    def endpoints(self) -> list[Endpoint]:
        """Every route."""
        found = [
            Endpoint(
                method="POST", path="/secrets/rekey", handler=self._rekey, role="administer", org=all_orgs,
                body=RekeyRequest, answer=RekeyAnswer,
            )
        ]  # fmt: skip
        for owner in ("orgs/{org}", "apps/{org}/{app}"):
            place = f"/environments/{{environment}}/{owner}/secrets"
            found += [
                Endpoint(method="GET", path=place, handler=self._list, role="look", answer=list[SecretInfo]),
                Endpoint(
                    method="PUT", path=f"{place}/{{name}}", handler=self._put, role="deploy",
                    body=SecretRequest, body_limit=_BODY, answer=SecretChange,
                ),
                Endpoint(
                    method="DELETE", path=f"{place}/{{name}}", handler=self._remove, role="deploy",
                    answer=SecretChange, query={"rollout": "`false`: the apps keep it until they are next deployed."},
                ),
            ]  # fmt: skip
        return found

    async def _list(self, request: Request) -> Response:
        """The secrets of an org, or those that an app is given: never their values."""
        scope = await self._scope(request)
        found = await self._vault.known(scope.environment, scope.org, scope.app or None)
        return json_response([_info(version, running) for version, running in found])

    async def _put(self, request: Request) -> Response:
        """Store a new version of a secret."""
        operator, asked = caller(request), body(request, SecretRequest)
        scope, name = await self._scope(request), request.path_params["name"]
        await _sealing(
            self._vault.put(
                scope,
                name,
                asked.value,
                variable=asked.environment_variable,
                by=self._author(operator),
                rotate=asked.rotate,
            )
        )
        deployments = await self._redeploy(scope, operator) if asked.rollout else []
        found = await self._vault.known(scope.environment, scope.org, scope.app or None)
        info = next((_info(*each) for each in found if each[0].scope == scope and each[0].name == name), None)
        return json_response(SecretChange(secret=info, deployments=deployments))

    async def _remove(self, request: Request) -> Response:
        """Take a secret away."""
        operator, scope = caller(request), await self._scope(request)
        await self._vault.remove(scope, request.path_params["name"], self._author(operator))
        rollout = request.query_params.get("rollout") != "false"
        deployments = await self._redeploy(scope, operator) if rollout else []
        return json_response(SecretChange(secret=None, deployments=deployments))

    async def _rekey(self, request: Request) -> Response:
        """Seal every stored secret anew with the first identity."""
        if body(request, RekeyRequest).new:
            self._identities.renew()
        sealed, key_id = await _sealing(self._vault.rekey())
        for each in self._also_sealed:
            sealed += await _sealing(each())
        self._identities.keep_first()
        return json_response(RekeyAnswer(sealed=sealed, key_id=key_id))

    def _author(self, operator: Operator) -> Author:
        return Author(operator.name, operator.address, self._clock())

    async def _scope(self, request: Request) -> Scope:
        path = request.path_params
        environment, org, app = path["environment"], path["org"], path.get("app", "")
        await self._environments.find(environment)
        fault = AppId(org, app).fault() if app else None
        if fault is not None or not ORG.fullmatch(org):
            raise Problem(400, f"There can be no app or org {org[:60]}/{app[:60]}.", code="invalid_app")
        return Scope(environment, org, app)


async def _sealing(work: Awaitable[T]) -> T:
    try:
        return await work
    except SealError as error:
        raise Problem(500, str(error), code="secrets_sealed") from error


def _info(version: Version, running: dict[str, int]) -> SecretInfo:
    return SecretInfo(
        environment=version.scope.environment,
        org=version.scope.org,
        app=version.scope.app or None,
        name=version.name,
        version=version.version,
        environment_variable=version.variable,
        set_by=version.set_by,
        set_at=version.set_at,
        in_force=running,
    )
