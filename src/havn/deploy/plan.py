"""What a deployment would do, found out beforehand: what it changes, whom it would strand, which cases it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import msgspec

from havn.appfolder import AppFolder, AppFolderError, policy_cases
from havn.contracts.difference import Difference, Stranded
from havn.deploy import difference
from havn.deploy.environments import Environments
from havn.deploy.folders import Folders
from havn.deploy.registry import NotInRegistry, RegistryError
from havn.deploy.release.model import ReleaseError
from havn.deploy.store import Desired, Store, Target
from havn.deploy.stranded import left, moves, sentence, stranded
from havn.kit.clock import Clock
from havn.kit.problem import Problem

_TOLD = 50
"""Failed cases that a refusal lists."""


class Plan:
    """Compares a release with what is there."""

    def __init__(self, store: Store, environments: Environments, folders: Folders, *, clock: Clock) -> None:
        self._store = store
        self._environments = environments
        self._folders = folders
        self._clock = clock

    async def difference(self, target: Target, release: str, *, text: bool = False) -> Difference:
        """What deploying the release would change; `text`: with unified diffs. Raises a `Problem`."""
        await self._environments.find(target.environment)
        desired = await self._store.desired(target)
        before = await self._read(target, desired.release) if desired is not None else None
        after = await self._read(target, release)
        old = self._folders.place(desired.release) if desired is not None else None
        files, left_out = await asyncio.to_thread(difference.files, old, self._folders.place(release), text=text)
        return Difference(
            environment=target.environment,
            org=target.org,
            app=target.app,
            before=desired.release if desired is not None else None,
            after=release,
            files=files,
            files_left_out=left_out,
            settings=difference.values(before.settings.raw if before else {}, after.settings.raw),
            values=difference.values(before.values.raw if before else {}, after.values.raw),
            policy=await asyncio.to_thread(difference.policy, before, after),
            egress=difference.values(difference.egress(before), difference.egress(after)),
            metadata=difference.values(before.metadata_raw if before else {}, after.metadata_raw),
            texts=difference.values(difference.texts(before), difference.texts(after)),
            process=difference.values(
                difference.process(before.process) if before else {}, difference.process(after.process)
            ),
            stranded=await self.stranded(target, before, after),
        )

    async def stranded(self, target: Target, before: AppFolder | None, after: AppFolder) -> list[Stranded]:
        """The open instances that the new version has no place for, asked of the environment's storage."""
        environment = await self._environments.find(target.environment)
        return stranded(await environment.publisher.standing(target.org, target.app), before, after)

    async def require_places(
        self,
        target: Target,
        before: AppFolder | None,
        after: AppFolder,
        *,
        mapping: Mapping[str, str],
        strand: bool,
    ) -> None:
        """Raise the 409 `Problem` that names the instances that would be stranded, the 400 of a senseless mapping."""
        moves(mapping, after, "")
        if strand:
            return
        found = left(await self.stranded(target, before, after), mapping)
        if found:
            tasks = [each for each in found if each.what == "task"]
            mend = "Say where they go with --map OLDTASK=NEWTASK, or" if tasks else "Keep what they need in the app, or"
            raise Problem(
                409,
                f"{sentence(found)} {mend} say --strand to leave them as they are.",
                code="strands_instances",
                stranded=msgspec.to_builtins(found),
            )

    async def require_cases(self, after: AppFolder, release: str, desired: Desired | None) -> None:
        """Raise the 409 `Problem` that names the cases beside the release's policy which that policy fails.

        What runs already is not asked: it may be deployed again for its secrets' sake.
        """
        if desired is not None and desired.release == release:
            return
        found = await asyncio.to_thread(policy_cases.findings, after.root, after.app_id, self._clock())
        if found:
            more = f" And {len(found) - 1} more." if len(found) > 1 else ""
            raise Problem(
                409,
                f"The release is refused by the cases beside its policy: {found[0].message}{more}"
                " Run havn policy test on the app, and build it anew.",
                code="policy_cases_fail",
                findings=msgspec.to_builtins(found[:_TOLD]),
            )

    async def check(
        self, target: Target, release: str, *, mapping: Mapping[str, str], strand: bool, cases: bool = True
    ) -> None:
        """As `require_places` and, with `cases`, `require_cases`, before anything is asked for.

        What cannot be read just now, release or storage, is left to the deployment itself, which looks again.
        """
        try:
            after = await self._folders.read(target.org, target.app, release)
            desired = await self._store.desired(target)
            if cases:
                await self.require_cases(after, release, desired)
            before = await self._folders.read(target.org, target.app, desired.release) if desired is not None else None
            await self.require_places(target, before, after, mapping=mapping, strand=strand)
        except (ReleaseError, RegistryError, AppFolderError):
            return
        except Problem as problem:
            if problem.status in (400, 409):
                raise

    async def _read(self, target: Target, release: str) -> AppFolder:
        try:
            return await self._folders.read(target.org, target.app, release)
        except NotInRegistry as error:
            raise Problem(404, str(error), code="unknown_release") from error
        except RegistryError as error:
            raise Problem(503, str(error), code="registry_unavailable") from error
        except (ReleaseError, AppFolderError) as error:
            raise Problem(409, str(error), code="unusable_release") from error
