"""Completing the resource of a request: both forms of its ids, its party, and where its instance stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.resources import app_of
from havn.engines.xacml import Attribute, names
from havn.guard.pep import Resource
from havn.platform.authorization.addresses import Addresses
from havn.platform.authorization.bags import Bags, Unanswerable, known, number, single, with_values
from havn.platform.authorization.pip import InformationPoint

_INSTANCE_PREFIX = "urn:altinn:instance-id:"
_NAMES = frozenset(
    {
        contract.ORG,
        contract.APP,
        contract.RESOURCE_ID,
        contract.INSTANCE_ID,
        contract.RESOURCE_INSTANCE_ID,
        contract.PARTY_ID,
        contract.PARTY_UUID,
        contract.PERSON_UUID,
        contract.ORGANISATION_UUID,
        contract.PERSON_NUMBER,
        contract.ORG_NUMBER,
        contract.ORG_NUMBER_OLD,
        contract.TASK,
        contract.END_EVENT,
        contract.APP_RESOURCE,
    }
)


class InstanceFacts(msgspec.Struct, frozen=True):
    """What storage knows about an instance."""

    org: str
    app: str
    task: str | None
    end_event: str | None


class CompletedResource(msgspec.Struct, frozen=True):
    """A resource with everything known added; `echo` is what the answer must tell, since it was looked up."""

    bags: Bags
    resource: Resource
    echo: tuple[Attribute, ...] = ()


class ResourceCompletion:
    """Completes the resources of one call; an instance is asked about once."""

    def __init__(
        self,
        information: InformationPoint,
        addresses: Addresses,
        instance_facts: Callable[[str], Awaitable[InstanceFacts | None]],
    ) -> None:
        self._information = information
        self._addresses = addresses
        self._instance_facts = instance_facts
        self._instances: dict[str, InstanceFacts | None] = {}

    async def complete(self, bags: Bags) -> CompletedResource:
        """The resource completed; `Unanswerable` when it names no app, or wrongly."""
        given = single(bags, _NAMES)
        org, app = given.get(contract.ORG), given.get(contract.APP)
        registered = given.get(contract.RESOURCE_ID)
        added: list[tuple[str, str]] = []
        if registered is not None and (org is None or app is None):
            address = app_of(registered)
            if address is None:
                return await self._registered(bags, given, registered)
            org, app = address
            added += [(contract.ORG, org), (contract.APP, app)]
        instance = given.get(contract.INSTANCE_ID)
        named = given.get(contract.RESOURCE_INSTANCE_ID)
        if instance is None and named is not None:
            instance = named.removeprefix(_INSTANCE_PREFIX)
            added.append((contract.INSTANCE_ID, instance))
        elif instance is not None and named is None:
            added.append((contract.RESOURCE_INSTANCE_ID, _INSTANCE_PREFIX + instance))
        party = await self._party(given)
        task, end_event = given.get(contract.TASK), given.get(contract.END_EVENT)
        echo: tuple[Attribute, ...] = ()
        placed = task is not None or end_event is not None or given.get(contract.APP_RESOURCE) == "events"
        if instance is not None and not (org and app and party is not None and placed):
            facts = await self._facts(instance)
            if facts is not None:
                org, app = org or facts.org, app or facts.app
                added += [(contract.ORG, org), (contract.APP, app)]
                if not placed:
                    task, end_event = facts.task, None if facts.task is not None else facts.end_event
                if party is None and (head := instance.partition("/")[0]).isdigit():
                    party = int(head)
                    echo = (
                        Attribute(
                            category=contract.RESOURCE, id=contract.PARTY_ID, values=(head,), include_in_result=True
                        ),
                    )
        if not org or not app:
            raise Unanswerable(names.MISSING_ATTRIBUTE, "The resource names no app: org and app are needed.")
        if task is not None:
            added.append((contract.TASK, task))
        elif end_event is not None:
            added.append((contract.END_EVENT, end_event))
        if party is not None:
            added.append((contract.PARTY_ID, str(party)))
        if registered is None:
            added.append((contract.RESOURCE_ID, f"app_{org}_{app}"))
        return CompletedResource(with_values(bags, added), Resource(org, app, party, instance, task, end_event), echo)

    async def _registered(self, bags: Bags, given: dict[str, str], id_: str) -> CompletedResource:
        """A resource that is no app: complete with its party, and never asked of storage."""
        address = await self._addresses.of(id_)
        if address is None:
            raise Unanswerable(names.PROCESSING_ERROR, "There is no such resource in the registry.")
        party = await self._party(given)
        added = [(contract.PARTY_ID, str(party))] if party is not None else []
        return CompletedResource(with_values(bags, added), Resource(*address, party))

    async def _facts(self, instance: str) -> InstanceFacts | None:
        if instance not in self._instances:
            self._instances[instance] = await self._instance_facts(instance)
        return self._instances[instance]

    async def _party(self, given: dict[str, str]) -> int | None:
        party_id = given.get(contract.PARTY_ID)
        if party_id is not None:
            return number(party_id, "resource's party id")
        uuid = (
            given.get(contract.PARTY_UUID) or given.get(contract.PERSON_UUID) or given.get(contract.ORGANISATION_UUID)
        )
        org_number = given.get(contract.ORG_NUMBER) or given.get(contract.ORG_NUMBER_OLD)
        person = given.get(contract.PERSON_NUMBER)
        if uuid is None and org_number is None and person is None:
            return None
        party = await known(self._information.party_of(uuid=uuid, org_number=org_number, person_number=person))
        if party is None:
            raise Unanswerable(names.PROCESSING_ERROR, "The resource's party is not known.")
        return party.party_id
