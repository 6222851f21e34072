"""Carrying out deployments: the jobs of the control plane. Every step may be repeated, so a killed job is begun again.

verified → published → put into the cluster → read back → open instances moved. What fails on the way is undone:
cluster, policy and metadata go back to what was there, and the deployment says why. Only once instances are being moved
is there no way back: the release runs then, and the moving is tried until it is done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable

import msgspec

from havn.appfolder import AppFolder, AppFolderError
from havn.appfolder.chart import chart_values
from havn.clusters.port import Cluster, ClusterError, Clusters, Progress, UnknownApp, Workload, silent
from havn.contracts.deploy import Deployment
from havn.deploy.environments import Environments, Keyring
from havn.deploy.folders import Folders
from havn.deploy.plan import Plan
from havn.deploy.publishing import Publisher
from havn.deploy.registry import Registry, RegistryError
from havn.deploy.release.model import Release, ReleaseError
from havn.deploy.release.open import find_trusted
from havn.deploy.secrets.vault import Delivered, SealError, Vault
from havn.deploy.store import Desired, Restore, Store, Target
from havn.deploy.story import Changes, Story
from havn.deploy.stranded import moves
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.queue import Job

Reached = Callable[[int, str], None]
"""Told the number of a deployment and the name of each of its steps when it is done, before the next begins."""

_TRIES = 5
"""How often a deployment is tried while a part of the platform does not answer."""


def unheard(deployment: int, step: str) -> None:
    """Tell nobody."""


class Rollout:
    """Does what deployments ask for."""

    def __init__(
        self,
        store: Store,
        *,
        environments: Environments,
        clusters: Clusters,
        registry: Registry,
        keyring: Keyring,
        secrets: Vault,
        folders: Folders,
        changes: Changes,
        clock: Clock,
        reached: Reached = unheard,
    ) -> None:
        self._store = store
        self._environments = environments
        self._clusters = clusters
        self._registry = registry
        self._keyring = keyring
        self._secrets = secrets
        self._folders = folders
        self._plan = Plan(store, environments, folders, clock=clock)
        self._changes = changes
        self._clock = clock
        self._reached = reached

    async def deployment(self, job: Job) -> None:
        """Handle a job `deployment`."""
        number = msgspec.json.decode(job.payload, type=dict[str, int])["deployment"]
        deployment = await self._store.deployment(number)
        if deployment is None:
            return
        # One that has ended was killed after that, or is to be seen off again.
        succeeded = deployment.status == "succeeded"
        if deployment.finished is None:
            succeeded = await self._carry_out(deployment, job)
        if succeeded:
            await self._see_off(_target(deployment), job)

    async def _carry_out(self, deployment: Deployment, job: Job) -> bool:
        """Do what is asked for, or put everything back as it was; returns whether it is done."""
        async with Story(self._store, self._changes, deployment.id, self._clock) as tell:
            if deployment.status != "restoring":
                await self._store.set_status(deployment.id, "running")
                self._changes.tell()
                if (reason := await self._try(deployment, job, tell)) is None:
                    return True
                tell(reason)
                await self._store.set_status(deployment.id, "restoring", reason)
                self._changes.tell()
                self._reached(deployment.id, "failed")
            try:
                await self._put_back(deployment, tell)
            except (ReleaseError, RegistryError, AppFolderError, ClusterError, Problem) as error:
                if isinstance(error, Problem) and job.attempts < 2 * _TRIES:
                    raise
                # The next deployment must not have to wait for this one; the restore makes way for it.
                tell(f"What was there before could not be put back: {error} It is tried again until it is.")
                await self._store.request_restore(_target(deployment), publish=True)
        await self._store.fail(deployment, self._clock())
        self._changes.tell()
        return False

    async def restore(self, job: Job) -> None:
        """Handle a job `restore`: a cluster that came up empty gets back what it should run.

        One that cannot be put back is tried again now and then: the next release may come at any time in between.
        """
        wanted = msgspec.json.decode(job.payload, type=Restore)
        desired = await self._store.desired(wanted.target)
        if desired is None:
            return
        try:
            if wanted.publish:
                folder = await self._folder(wanted.target, desired.release)
                await (await self._publisher(wanted.target)).publish(folder, desired.release)
            await self._apply(desired, silent)
            await self._see_off(wanted.target, job)
        except (ClusterError, ReleaseError, RegistryError, AppFolderError) as error:
            raise Problem(500, str(error)) from error

    async def _try(self, deployment: Deployment, job: Job, tell: Story) -> str | None:
        """Do it; returns why it failed. An outage raises, so that it is tried again, but not for ever."""
        try:
            if deployment.kind == "undeploy":
                await self._undeploy(deployment, tell)
            elif deployment.kind == "scale":
                await self._scale(deployment, tell)
            elif deployment.kind == "heal":
                await self._heal(deployment, tell)
            else:
                await self._deploy(deployment, tell)
        except (ReleaseError, RegistryError, AppFolderError, ClusterError) as error:
            if await self._store.moving(deployment.id):
                raise Problem(503, str(error)) from error
            return str(error)
        except Problem as problem:
            away = problem.status in (429, 502, 503, 504)
            if (away and job.attempts < _TRIES) or await self._store.moving(deployment.id):
                tell(f"{problem.detail or problem.title} Trying again.")
                raise
            return problem.detail or problem.title
        return None

    async def _deploy(self, deployment: Deployment, tell: Story) -> None:
        target, release = _target(deployment), deployment.release
        assert release is not None
        before = await self._store.desired(target)
        found = await find_trusted(
            self._registry, f"{target.org}/{target.app}", release, await self._keyring.trusted(target.org)
        )
        folder = await self._folder(target, release)
        if not await self._store.moving(deployment.id):
            await self._put_there(deployment, folder, before, tell)
        await self._move(deployment, folder, tell)
        current = await self._store.deployment(deployment.id)
        assert current is not None
        await self._succeed(current, found, tell)
        self._reached(deployment.id, "succeeded")

    async def _put_there(self, deployment: Deployment, folder: AppFolder, before: Desired | None, tell: Story) -> None:
        """Publish the release and make the cluster run it."""
        target, release = _target(deployment), deployment.release
        assert release is not None
        environment = await self._environments.find(target.environment)
        tell(f"Release {short(release)} is intact and signed by {target.org}.")
        previous = await self._folder(target, before.release) if before is not None else None
        if deployment.kind == "deploy":
            await self._plan.require_cases(folder, release, before)
        await self._plan.require_places(target, previous, folder, mapping=deployment.mapping, strand=deployment.strand)
        self._reached(deployment.id, "verified")
        key = await self._keyring.access_key(target.environment, target.org, target.app, deployment.id)
        await environment.publisher.admit(target.org, target.app, key)
        self._reached(deployment.id, "admitted")
        secrets = await _opened(self._secrets.current(target))
        await environment.publisher.lend(target.org, target.app, secrets.outbound)
        await environment.publisher.publish(folder, release, previous)
        tell("Policy, metadata and texts are published.")
        self._reached(deployment.id, "published")
        cluster = await self._cluster(target)
        scaling = before.scaling if before is not None else None
        wanted = await self._workload(target, release, deployment.replicas, key, secrets)
        await cluster.apply(msgspec.structs.replace(wanted, base=deployment.base, scaling=scaling), tell)
        self._reached(deployment.id, "applied")
        status = await cluster.status(target.app)
        if not status.settled:
            raise ClusterError(f"The cluster runs {status.ready} of {status.replicas} replicas.")
        tell(f"{status.ready} of {status.replicas} ready at {environment.address(target.org, target.app)}.")
        await self._secrets.settle(target, secrets)
        await self._store.arrived(deployment.id, base=status.base, moving=bool(deployment.mapping))
        self._reached(deployment.id, "arrived")

    async def _move(self, deployment: Deployment, folder: AppFolder, tell: Story) -> None:
        """Take open instances from tasks that are gone to those that the mapping names; the release runs already."""
        target = _target(deployment)
        publisher = await self._publisher(target)
        if deployment.mapping:
            # They would go on at the tasks that are gone.
            await (await self._cluster(target)).drained(target.app)
        reason = f"Moved by revision {deployment.revision} of {target.org}/{target.app}."
        for move in moves(deployment.mapping, folder, reason):
            moved, more = 0, True
            while more:
                done = await publisher.move(target.org, target.app, move)
                moved, more = moved + done.moved, done.more
                self._reached(deployment.id, "moving")
            tell(f"Moved {moved} open instances from {move.source} to {move.target}.")
        self._reached(deployment.id, "moved")

    async def _scale(self, deployment: Deployment, tell: Story) -> None:
        target = _target(deployment)
        desired = await self._store.desired(target)
        if desired is None:
            raise ClusterError(f"{target.org}/{target.app} is not deployed in {target.environment}.")
        cluster = await self._cluster(target)
        wanted = msgspec.structs.replace(
            desired, replicas=deployment.replicas, scaling=deployment.scaling or desired.scaling
        )
        if deployment.scaling is not None and not cluster.follows_load:
            least = deployment.replicas
            tell(f"This cluster does not follow the load: the bounds are kept, and the least of them, {least}, run.")
        try:
            if deployment.scaling is not None and cluster.follows_load:
                await self._apply(wanted, tell)
                status = await cluster.status(target.app)
            else:
                status = await cluster.scale(target.app, deployment.replicas, tell)
        except UnknownApp:
            await self._apply(wanted, tell)
            status = await cluster.status(target.app)
        tell(f"{status.ready} of {status.replicas} ready.")
        await self._succeed(deployment, None, tell)

    async def _heal(self, deployment: Deployment, tell: Story) -> None:
        """Put everything back as it should be: policy, metadata and texts, and all that the cluster has of the app."""
        target = _target(deployment)
        desired = await self._store.desired(target)
        if desired is None:
            raise ClusterError(f"{target.org}/{target.app} is not deployed in {target.environment}.")
        folder = await self._folder(target, desired.release)
        await (await self._publisher(target)).publish(folder, desired.release)
        tell("Policy, metadata and texts are published.")
        await self._apply(desired, tell)
        status = await (await self._cluster(target)).status(target.app)
        tell(f"{status.ready} of {status.replicas} ready.")
        await self._succeed(deployment, None, tell)

    async def _undeploy(self, deployment: Deployment, tell: Story) -> None:
        target = _target(deployment)
        await (await self._cluster(target)).remove(target.app)
        await self._dismiss(target, all_=True)
        await (await self._publisher(target)).withdraw(target.org, target.app)
        await self._secrets.forget(target)
        tell("Stopped. Its instances and their data are kept.")
        await self._succeed(deployment, None, tell)

    async def _put_back(self, deployment: Deployment, tell: Story) -> None:
        """Make everything as it was before `deployment`."""
        target = _target(deployment)
        desired = await self._store.desired(target)
        cluster = await self._cluster(target)
        if desired is None:
            await cluster.remove(target.app)
            await (await self._publisher(target)).withdraw(target.org, target.app)
        else:
            environment = await self._environments.find(target.environment)
            folder = await self._folder(target, desired.release)
            await environment.publisher.publish(folder, desired.release, await self._attempted(deployment))
            await self._apply(desired, tell)
            tell(f"Release {short(desired.release)} is in place as before.")
        await self._dismiss(target)

    async def _attempted(self, deployment: Deployment) -> AppFolder | None:
        """The app folder of a release that did not make it, for what it alone has published; None without one."""
        if deployment.release is None:
            return None
        with contextlib.suppress(ReleaseError, RegistryError, AppFolderError):
            return await self._folder(_target(deployment), deployment.release)
        return None

    async def _apply(self, desired: Desired, tell: Progress) -> None:
        target = desired.target
        key = await self._keyring.access_key(target.environment, target.org, target.app, desired.rollout)
        await (await self._publisher(target)).admit(target.org, target.app, key)
        # Not the newest: those may be why a deployment failed.
        secrets = await _opened(self._secrets.in_force(target))
        await (await self._publisher(target)).lend(target.org, target.app, secrets.outbound)
        wanted = await self._workload(target, desired.release, desired.replicas, key, secrets)
        workload = msgspec.structs.replace(wanted, base=desired.base, scaling=desired.scaling)
        await (await self._cluster(target)).apply(workload, tell)

    async def _succeed(self, deployment: Deployment, release: Release | None, tell: Story) -> None:
        await tell.written()
        labels = release.config.labels if release is not None else {}
        await self._store.succeed(deployment, labels, self._clock())
        self._changes.tell()

    async def _see_off(self, target: Target, job: Job) -> None:
        """Let the replicas before end what they have begun, for which they need their key, and then take it back.

        Raises a `Problem` when that cannot be done now, so that the job is tried again.
        """
        try:
            if await self._outlived(target):
                await (await self._cluster(target)).drained(target.app)
                await self._dismiss(target)
        except (ClusterError, Problem) as error:
            # What is next for the app must not wait for this, and does it in its turn.
            if await self._store.more_to_do(target, job.id):
                return
            raise error if isinstance(error, Problem) else Problem(503, str(error)) from error

    async def _dismiss(self, target: Target, *, all_: bool = False) -> None:
        """Take back the keys of the app's rollouts, but for the one that should run."""
        for rollout in await self._outlived(target, all_=all_):
            place = (target.environment, target.org, target.app, rollout)
            if key_id := await self._keyring.key_id(*place):
                # First the public half: once the private one is forgotten, nobody knows which is to be withdrawn.
                await (await self._publisher(target)).dismiss(target.org, target.app, key_id)
                self._reached(rollout, "dismissed")
                await self._keyring.forget(*place)

    async def _outlived(self, target: Target, *, all_: bool = False) -> list[int]:
        """The app's rollouts that still have a key, but for the one that should run."""
        desired = await self._store.desired(target)
        kept = desired.rollout if desired is not None and not all_ else None
        return [
            rollout
            for rollout in await self._keyring.rollouts(target.environment, target.org, target.app)
            if rollout != kept
        ]

    async def _cluster(self, target: Target) -> Cluster:
        return await self._clusters.find(target.org, target.environment)

    async def _publisher(self, target: Target) -> Publisher:
        return (await self._environments.find(target.environment)).publisher

    async def _workload(self, target: Target, release: str, replicas: int, key: str, secrets: Delivered) -> Workload:
        environment = await self._environments.find(target.environment)
        asked = chart_values((await self._folder(target, release)).values)
        return Workload(
            app=target.app,
            release=release,
            replicas=replicas,
            settings={**asked.environment, **environment.settings},
            chart=asked.chart,
            secrets={**secrets.files, "platform-access-key": key},
            secret_variables=secrets.variables,
        )

    async def _folder(self, target: Target, release: str) -> AppFolder:
        return await self._folders.read(target.org, target.app, release)


async def _opened(secrets: Awaitable[Delivered]) -> Delivered:
    try:
        return await secrets
    except SealError as error:
        raise ClusterError(str(error)) from error


def short(digest: str) -> str:
    """The first digits of a digest, as people read them."""
    return digest.removeprefix("sha256:")[:12]


def _target(deployment: Deployment) -> Target:
    return Target(deployment.environment, deployment.org, deployment.app)
