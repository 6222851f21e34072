"""The way into an environment: nothing that strands instances or fails its cases, or before whoever must approve."""

from __future__ import annotations

from havn.contracts.deploy import Deployment
from havn.contracts.promotion import Approval, PromoteRequest
from havn.deploy.access import Operator
from havn.deploy.endpoints import not_deployed
from havn.deploy.environments import Environments
from havn.deploy.plan import Plan
from havn.deploy.promotion.store import Approvals
from havn.deploy.store import Store, Target, Wanted
from havn.kit.clock import Clock
from havn.kit.problem import Problem


class Gate:
    """Takes what operators ask for."""

    def __init__(
        self, store: Store, approvals: Approvals, *, environments: Environments, plan: Plan, clock: Clock
    ) -> None:
        self._store = store
        self._approvals = approvals
        self._environments = environments
        self._plan = plan
        self._clock = clock

    async def ask(self, wanted: Wanted, operator: Operator) -> Deployment | Approval:
        """A deployment that begins at once, or what waits for somebody else. Raises a `Problem`.

        A rollback needs no approval, and its policy's cases are not run: what it puts back has run here before, and it
        cannot wait.
        """
        environment = await self._environments.find(wanted.target.environment)
        if wanted.kind in ("deploy", "rollback") and wanted.release is not None:
            await self._plan.check(
                wanted.target, wanted.release, mapping=wanted.mapping, strand=wanted.strand,
                cases=wanted.kind == "deploy",
            )  # fmt: skip
        if wanted.kind == "deploy" and environment.approval == "another":
            return await self._approvals.ask(wanted, operator.person, self._clock())
        return await self._store.request(wanted, self._clock())

    async def promote(self, asked: PromoteRequest, operator: Operator) -> Deployment | Approval:
        """What runs in one environment, into another: the identical release on the identical base image."""
        source = Target(asked.source, asked.org, asked.app)
        target = Target(asked.target, asked.org, asked.app)
        if source == target:
            raise Problem(400, "An app is promoted from one environment to another.", code="same_environment")
        for each in (source, target):
            await self._environments.find(each.environment)
        runs = await self._store.desired(source)
        if runs is None:
            raise not_deployed(source)
        there = await self._store.desired(target)
        replicas = asked.replicas
        if replicas is None:
            replicas = there.replicas if there is not None else 1
        wanted = Wanted(
            target=target,
            kind="deploy",
            release=runs.release,
            replicas=replicas,
            who=operator.name,
            address=operator.address,
            base=runs.base,
            mapping=asked.mapping,
            strand=asked.strand,
            promoted_from=asked.source,
        )
        return await self.ask(wanted, operator)
