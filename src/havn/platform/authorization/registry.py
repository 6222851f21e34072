"""The resource registry: entries that owners keep, apps told from their metadata, and what policies grant of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from havn.clients.applications import ApplicationsClient
from havn.contracts import authorization as contract
from havn.contracts.application import Application
from havn.contracts.authorization import AttributePair, Change, Published
from havn.contracts.resources import (
    CompetentAuthority,
    ContactPoint,
    Keyword,
    ResourceReference,
    ResourceUrn,
    ServiceResource,
    SubjectResources,
    app_of,
    registered_name,
    resource_id,
)
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.authorization.addresses import Address, Addresses
from havn.platform.authorization.policies import PolicyAdministration
from havn.platform.authorization.store.access_lists import AccessListStore
from havn.platform.authorization.store.resources import ForeignResource, ResourceExists, ResourceStore

LANGUAGES = ("nb", "nn", "en")
MAX_SUBJECTS = 100
_ID = re.compile(r"[a-z0-9_-]{4,100}")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,99}")
_EXPIRED = frozenset({"expired", "withdrawn"})


class Registry:
    """Tells, makes, changes and ends resources."""

    def __init__(
        self,
        store: ResourceStore,
        addresses: Addresses,
        administration: PolicyAdministration,
        access_lists: AccessListStore,
        applications: ApplicationsClient,
        *,
        clock: Clock,
        announce: Callable[[Change], None],
    ) -> None:
        self._store = store
        self._addresses = addresses
        self._administration = administration
        self._access_lists = access_lists
        self._applications = applications
        self._clock = clock
        self._announce = announce

    async def address(self, id_: str) -> Address:
        """Owner and name of a resource's policy; 404 for no resource."""
        found = await self._addresses.of(id_)
        if found is None:
            raise _not_found()
        return found

    async def get(self, id_: str, version_id: int | None = None) -> ServiceResource:
        """One resource, or one version of it; 404 for none. 503 when it is an app and storage is away."""
        app = app_of(id_)
        if app is None:
            found = await self._store.get(id_, version_id)
            if found is None:
                raise _not_found()
            return found
        # Only what can be a name goes into the path of a question to storage.
        if version_id is not None or not all(_NAME.fullmatch(part) for part in app):
            raise _not_found()
        try:
            metadata = await self._applications.application("/".join(app))
        except Problem as problem:
            if problem.status in (400, 404):
                raise _not_found() from None
            raise
        return as_resource(metadata, limited=await self._access_lists.limited(*app))

    async def all(self, *, apps: bool, migrated: bool) -> list[ServiceResource]:
        """Every resource that has not expired, and with `apps` every app whose time is not over."""
        found = [
            resource
            for resource in await self._store.all()
            if (resource.status or "").lower() not in _EXPIRED and (migrated or resource.resource_type != "MigratedApp")
        ]
        if apps:
            now = self._clock()
            limited = await self._access_lists.all_limited()
            found += [
                as_resource(metadata, limited=(metadata.org, (metadata.id or "").partition("/")[2]) in limited)
                for metadata in await self._applications.applications()
                if metadata.valid_to is None or metadata.valid_to > now
            ]
        return found

    async def put(self, resource: ServiceResource, org: str, *, new: bool, by: str) -> ServiceResource:
        """Make or change a resource of `org`; 400 when not valid, 403 when another's, 409 when there is one already."""
        check(resource)
        try:
            version = await self._store.put(resource, org, new=new, at=self._clock(), by=by)
        except ResourceExists:
            raise Problem(409, "There is a resource with that identifier.", code="resource_exists") from None
        except ForeignResource:
            raise Problem(403, "The identifier belongs to another owner.", code="foreign_resource") from None
        except LookupError:
            raise _not_found() from None
        self._announce(Change("policy", org, registered_name(resource.identifier)))
        return msgspec.structs.replace(resource, version_id=version)

    async def delete(self, id_: str, org: str) -> None:
        """End a resource: nothing is permitted of it any more; its id stays its owner's. 404 for none."""
        await self._store.delete(id_)
        self._announce(Change("policy", org, registered_name(id_)))

    async def publish_policy(self, id_: str, xml: bytes, *, by: str) -> Published:
        """A resource's policy, in force at once; 400 with `findings` when it cannot be used or is about another."""
        org, name = await self.address(id_)
        try:
            return await self._administration.publish(org, name, xml, by=by)
        except Problem as problem:
            if problem.status != 422:
                raise
            raise Problem(400, problem.detail, code=problem.code, **problem.extensions) from None

    async def by_subjects(self, urns: Sequence[str]) -> list[SubjectResources]:
        """For each subject the resources whose policy in force permits it something."""
        if not 1 <= len(urns) <= MAX_SUBJECTS:
            raise Problem(400, f"Name between 1 and {MAX_SUBJECTS} subjects.", code="too_many_or_none")
        for urn in urns:
            if not urn.startswith("urn:") or not 8 <= len(urn) <= 200:
                raise Problem(400, "A subject is named by urn.", code="subject_invalid")
        held = await self._administration.by_subjects([urn.lower() for urn in urns])
        return [
            SubjectResources(
                ResourceUrn.of(*urn.rsplit(":", 1)),
                [
                    ResourceUrn.of(contract.RESOURCE_ID, resource_id(org, name))
                    for org, name in held.get(urn.lower(), ())
                ],
            )
            for urn in dict.fromkeys(urns)
        ]


def check(resource: ServiceResource) -> None:
    """400 naming the first thing that is not as a resource must be."""

    def refuse(why: str) -> Problem:
        return Problem(400, why, code="resource_invalid")

    id_ = resource.identifier
    if not _ID.fullmatch(id_) or id_.startswith("app_"):
        raise refuse("identifier: 4 to 100 small letters, digits, - and _, not beginning with app_.")
    texts = [("title", resource.title), ("description", resource.description)]
    if resource.delegable:
        texts.append(("rightDescription", resource.right_description))
    for member, by_language in texts:
        if not all((by_language or {}).get(language, "").strip() for language in LANGUAGES):
            raise refuse(f"{member}: a text in each of {', '.join(LANGUAGES)} is needed.")
    if resource.resource_type is None or resource.resource_type == "AltinnApp":
        raise refuse("resourceType is needed; apps are not registered, they are deployed.")


def as_resource(metadata: Application, *, limited: bool) -> ServiceResource:
    """An app in the form of a resource."""
    org, _, app = (metadata.id or "").partition("/")
    return ServiceResource(
        identifier=f"app_{org}_{app}",
        version=metadata.version_id,
        title=metadata.title,
        description=metadata.description,
        homepage=metadata.homepage,
        status="Completed",
        contact_points=[
            ContactPoint(point.category, point.email, point.telephone, point.contact_page)
            for point in metadata.contact_points
        ]
        if metadata.contact_points
        else None,
        resource_references=[ResourceReference("Altinn3", f"{org}/{app}", "ApplicationId")],
        has_competent_authority=CompetentAuthority(orgcode=org),
        keywords=[Keyword(keyword.word, keyword.language) for keyword in metadata.keywords if keyword.word]
        if metadata.keywords
        else None,
        access_list_mode="Enabled" if limited else "Disabled",
        resource_type="AltinnApp",
        authorization_reference=[AttributePair(contract.ORG, org), AttributePair(contract.APP, app)],
    )


def _not_found() -> Problem:
    return Problem(404, "There is no such resource.", code="resource_not_found")
