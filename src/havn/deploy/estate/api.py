"""Routes for orgs, environments and clusters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from havn.clusters.kubernetes import bootstrap, certificates, doctor
from havn.clusters.kubernetes.cert_manager import used
from havn.clusters.kubernetes.credentials import Credentials
from havn.clusters.kubernetes.values import merged
from havn.clusters.port import ClusterError
from havn.contracts.estate import (
    ClusterInfo,
    ClusterRequest,
    EnvironmentDetails,
    EnvironmentRequest,
    Finding,
    KeyRequest,
    OrgInfo,
    OrgRequest,
)
from havn.deploy.author import Author
from havn.deploy.endpoints import Endpoint, all_orgs, any_org, body, caller, in_body
from havn.deploy.estate.clusters import EstateClusters
from havn.deploy.estate.environments import believed
from havn.deploy.estate.model import (
    ClusterRow,
    EnvironmentRow,
    cluster_place,
    dns_records,
    environment_place,
    host,
)
from havn.deploy.estate.store import EstateStore, unknown_org
from havn.deploy.estate.validation import (
    check_cluster,
    check_deploy_key,
    check_environment,
    check_org,
    check_trust,
    check_values,
    signing_key,
)
from havn.deploy.sealing import Sealed, Sealer, SealError
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response

_CLUSTER_BODY = 200_000


class EstateApi:
    """Translates between HTTP and the rows."""

    def __init__(
        self,
        store: EstateStore,
        clusters: EstateClusters,
        sealer: Sealer,
        *,
        reserved: Collection[str],
        clock: Clock,
        resolve: doctor.Resolve = doctor.system_resolve,
        own_certificate: Path | None = None,
    ) -> None:
        """`reserved` are names of environments that are not rows; `own_certificate` is the folder of this process's."""
        self._own_certificate = own_certificate
        self._store = store
        self._clusters = clusters
        self._sealer = sealer
        self._reserved = reserved
        self._clock = clock
        self._resolve = resolve

    def endpoints(self) -> list[Endpoint]:
        """Every route."""
        cluster = "/clusters/{environment}/{org}"
        gone = {"force": "`true`: also while apps should run there, or when it cannot be reached"}
        return [
            Endpoint(method="GET", path="/orgs", handler=self._list_orgs, role="look", org=any_org,
                     answer=list[OrgInfo]),
            Endpoint(method="PUT", path="/orgs/{org}", handler=self._put_org, role="administer", org=all_orgs,
                     body=OrgRequest, status=204),
            Endpoint(method="POST", path="/orgs/{org}/keys", handler=self._add_key, role="administer",
                     body=KeyRequest, status=204),
            Endpoint(method="DELETE", path="/orgs/{org}/keys/{fingerprint}", handler=self._remove_key,
                     role="administer", status=204),
            Endpoint(method="GET", path="/environments/{environment}", handler=self._environment, role="look",
                     org=any_org, answer=EnvironmentDetails),
            Endpoint(method="PUT", path="/environments/{environment}", handler=self._put_environment,
                     role="administer", org=all_orgs, body=EnvironmentRequest, answer=EnvironmentDetails),
            Endpoint(method="DELETE", path="/environments/{environment}", handler=self._remove_environment,
                     role="administer", org=all_orgs, status=204),
            Endpoint(method="GET", path="/clusters", handler=self._list_clusters, role="look", org=any_org,
                     answer=list[ClusterInfo]),
            Endpoint(method="POST", path="/clusters", handler=self._add_cluster, role="administer", org=in_body,
                     body=ClusterRequest, body_limit=_CLUSTER_BODY, answer=ClusterInfo, status=202),
            Endpoint(method="GET", path=cluster, handler=self._cluster, role="look", answer=ClusterInfo),
            Endpoint(method="DELETE", path=cluster, handler=self._remove_cluster, role="administer", status=204,
                     query=gone),
            Endpoint(method="GET", path=f"{cluster}/doctor", handler=self._doctor, role="administer",
                     answer=Finding, lines=True),
        ]  # fmt: skip

    # Orgs.

    async def _list_orgs(self, request: Request) -> Response:
        """The orgs that the caller may see, with their signing keys and where they have clusters."""
        return json_response(await self._store.orgs(caller(request).orgs("look")))

    async def _put_org(self, request: Request) -> Response:
        """Add an org, or change its name."""
        org, name = request.path_params["org"], body(request, OrgRequest).name.strip()
        check_org(org, name)
        await self._store.put_org(org, name, self._author(request))
        return Response(status_code=204)

    async def _add_key(self, request: Request) -> Response:
        """Trust releases of the org that are signed with this key."""
        pem, fingerprint = signing_key(body(request, KeyRequest).public_key)
        await self._store.add_key(request.path_params["org"], fingerprint, pem, self._author(request))
        return Response(status_code=204)

    async def _remove_key(self, request: Request) -> Response:
        """Trust that key no longer; what is deployed goes on."""
        path = request.path_params
        if not await self._store.remove_key(path["org"], path["fingerprint"], self._author(request)):
            raise Problem(404, f"{path['org']} has no such key.", code="unknown_key")
        return Response(status_code=204)

    # Environments.

    async def _environment(self, request: Request) -> Response:
        """One environment, its key left out."""
        return json_response(_details(await self._environment_row(request.path_params["environment"])))

    async def _put_environment(self, request: Request) -> Response:
        """Add an environment, or change it."""
        name, asked = request.path_params["environment"], body(request, EnvironmentRequest)
        check_environment(name, asked)
        self._require_changeable(name)
        if asked.deploy_key is not None:
            check_deploy_key(asked.deploy_key)
        row = EnvironmentRow(
            name=name,
            type=asked.type,
            scheme=asked.scheme,
            domain=asked.domain,
            platform_url=asked.platform_url.rstrip("/"),
            approval=asked.approval,
            settings=asked.settings,
            app_values=asked.app_values,
            registry=asked.registry,
            deploy_key=self._seal(environment_place(name), asked.deploy_key) if asked.deploy_key else None,
            version=0,
            changed=self._clock(),
        )
        if row.authorities:
            believed(row.authorities)
        check_values(self._clusters.tools.charts / "app", row.app_values)
        check_trust(row.app_values)
        await self._store.put_environment(row, self._author(request))
        return json_response(_details(await self._environment_row(name)))

    async def _remove_environment(self, request: Request) -> Response:
        """Forget an environment that has no clusters."""
        name = request.path_params["environment"]
        self._require_changeable(name)
        if not await self._store.remove_environment(name, self._author(request)):
            await self._environment_row(name)
        return Response(status_code=204)

    # Clusters.

    async def _list_clusters(self, request: Request) -> Response:
        """The clusters that the caller may see."""
        rows = await self._store.clusters(caller(request).orgs("look"))
        return json_response([await self._info(row) for row in rows])

    async def _cluster(self, request: Request) -> Response:
        """One cluster, its credentials left out, with the DNS records that it wants."""
        return json_response(await self._info(await self._row(request)))

    async def _add_cluster(self, request: Request) -> Response:
        """Add a cluster, or give one new credentials: tried first, then stored, then set up by a job."""
        asked = body(request, ClusterRequest)
        environment = await self._environment_row(asked.environment)
        if not await self._store.orgs([asked.org]):
            raise unknown_org(asked.org)
        check_cluster(asked)
        for chart, given in (("app", asked.app_values), ("cluster", asked.base_values)):
            check_values(self._clusters.tools.charts / chart, given)
        check_trust(merged(environment.app_values, asked.app_values))
        credentials = Credentials(
            server=asked.server,
            authority=asked.authority,
            server_name=asked.server_name,
            token=asked.token,
            certificate=asked.certificate,
            key=asked.key,
        )
        try:
            credentials.check()
            manager = used(environment.app_values, asked.app_values, asked.base_values)
            async with self._clusters.try_out(credentials, asked.namespace) as reached:
                await bootstrap.usable(reached.kube, manager=manager)
        except ClusterError as error:
            raise Problem(400, str(error), code="cluster_unusable") from None
        sealed = self._seal(cluster_place(asked.org, asked.environment), msgspec.json.encode(credentials).decode())
        author = self._author(request)
        row = ClusterRow(
            org=asked.org,
            environment=environment.name,
            server=asked.server,
            namespace=asked.namespace,
            credentials=sealed,
            ingress=asked.ingress,
            front=False,
            app_values=asked.app_values,
            base_values=asked.base_values,
            status="bootstrapping",
            reason=None,
            version=0,
            added=author.now,
            added_by=author.who,
        )
        await self._store.add_cluster(row, author)
        stored = await self._store.cluster(asked.org, asked.environment)
        assert stored is not None
        return json_response(await self._info(stored), 202)

    async def _remove_cluster(self, request: Request) -> Response:
        """Take Havn's parts out of a cluster and forget it. Refused while apps should run there, unless forced."""
        row, force = await self._row(request), request.query_params.get("force") == "true"
        if row.apps and not force:
            apps = f"{row.apps} app{'s are' if row.apps != 1 else ' is'}"
            raise Problem(
                409,
                f"{apps} deployed in the cluster of {row.org} in {row.environment}: undeploy first, or say --force to "
                "forget the cluster with them in it.",
                code="apps_deployed",
            )
        if await self._store.busy(row.org, row.environment):
            raise Problem(409, "A deployment to it is under way: wait until it has ended.", code="deployment_under_way")
        if not row.apps:
            try:
                async with self._clusters.reach(row) as reached:
                    await bootstrap.uninstall(reached.kube, reached.helm)
            except ClusterError as error:
                if not force:
                    raise Problem(
                        503, f"Havn's parts could not be taken out of it: {error} Say --force to forget it anyway.",
                        code="cluster_unavailable",
                    ) from None  # fmt: skip
        await self._store.remove_cluster(row.org, row.environment, self._author(request))
        await self._clusters.forget(row.org, row.environment)
        return Response(status_code=204)

    async def _doctor(self, request: Request) -> Response:
        """Look at what is relied on in a cluster: a finding a line, as each check is done."""
        row = await self._row(request)
        environment = await self._environment_row(row.environment)
        try:
            credentials = self._clusters.open(row)
        except ClusterError as error:
            raise Problem(500, str(error), code="sealing_failed") from None
        values: dict[str, Any] = dict(row.base_values)

        async def findings() -> AsyncIterator[bytes]:
            async with self._clusters.try_out(credentials, row.namespace) as reached:
                image: str | None = None
                try:
                    base = await self._clusters.tools.images(environment.registry).base()
                    image = f"{base.repository}@{base.digest}"
                except ClusterError as error:
                    yield _line(
                        Finding(
                            check="registry", result="fail", message=str(error),
                            next="See to the registry: without it nothing can be deployed.",
                        )
                    )  # fmt: skip
                policy = values.get("networkPolicy", {})
                labels: dict[str, str] = policy.get("ingressPodLabels", {"app": "traefik"})
                patient = doctor.Patient(
                    kube=reached.kube,
                    credentials=credentials,
                    host=host(row.org, environment.domain),
                    dns=dns_records(row.org, environment.domain, row.ingress),
                    ingress=row.ingress,
                    ingress_namespace=policy.get("ingressNamespace", "traefik"),
                    ingress_labels=",".join(f"{name}={value}" for name, value in labels.items()),
                    image=image,
                    pull_secrets=values.get("image", {}).get("pullSecrets", ()),
                    cert_manager=used(environment.app_values, row.app_values, row.base_values),
                )
                try:
                    async for finding in doctor.examine(patient, clock=self._clock, resolve=self._resolve):
                        yield _line(finding)
                except ClusterError as error:
                    broke_off = Finding(
                        check="cluster", result="fail", message=f"The checks broke off: {error}", next="Try again."
                    )
                    yield _line(broke_off)
            if self._own_certificate is not None:
                yield _line(await asyncio.to_thread(certificates.own, self._own_certificate, self._clock()))

        return StreamingResponse(findings(), media_type="application/x-ndjson", headers={"cache-control": "no-store"})

    async def _row(self, request: Request) -> ClusterRow:
        path = request.path_params
        row = await self._store.cluster(path["org"], path["environment"])
        if row is None:
            raise Problem(
                404,
                f"{path['org'][:40]} has no cluster in {path['environment'][:40]}: see `havn cluster list`.",
                code="unknown_cluster",
            )
        return row

    def _require_changeable(self, name: str) -> None:
        if name in self._reserved:
            raise Problem(
                409, f"{name} is this machine's own environment: it stays as it is.", code="environment_is_fixed"
            )  # fmt: skip

    async def _environment_row(self, name: str) -> EnvironmentRow:
        row = await self._store.environment(name)
        if row is None:
            raise Problem(
                404, f"There is no environment {name[:60]}: see `havn environment list`.", code="unknown_environment"
            )
        return row

    async def _info(self, row: ClusterRow) -> ClusterInfo:
        environment = await self._environment_row(row.environment)
        return ClusterInfo(
            org=row.org,
            environment=row.environment,
            server=row.server,
            namespace=row.namespace,
            ingress=row.ingress,
            status=row.status,
            reason=row.reason,
            added=row.added,
            added_by=row.added_by,
            apps=row.apps,
            dns=dns_records(row.org, environment.domain, row.ingress),
        )

    def _seal(self, place: str, text: str) -> Sealed:
        try:
            return self._sealer.seal(place, text)
        except SealError as error:
            raise Problem(500, str(error), code="sealing_failed") from None

    def _author(self, request: Request) -> Author:
        operator = caller(request)
        return Author(operator.name, operator.address, self._clock())


def _details(row: EnvironmentRow) -> EnvironmentDetails:
    return EnvironmentDetails(
        name=row.name,
        type=row.type,
        scheme=row.scheme,
        domain=row.domain,
        platform_url=row.platform,
        approval=row.approval,
        settings=dict(row.settings),
        app_values=dict(row.app_values),
        registry=row.registry,
        has_key=row.deploy_key is not None,
        changed=row.changed,
    )


def _line(finding: Finding) -> bytes:
    return msgspec.json.encode(finding) + b"\n"
