"""The context handler: completes a request's attributes before it is evaluated.

Resource: both forms of app and instance ids, the party's id, and, only when the asker did not send them, the instance's
facts from storage. Subject: who it is (exactly one identity), and what holds between it and the party.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar
from uuid import UUID

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import SubjectFacts, SubjectRef
from havn.engines.xacml import Attribute, Request, Status, names
from havn.guard.facts import FactCache
from havn.guard.pep import Resource
from havn.kit.problem import Problem
from havn.platform.authorization.pip import InformationPoint

T = TypeVar("T")
APP_RESOURCE_PREFIX = "app_"
_INSTANCE_PREFIX = "urn:altinn:instance-id:"
_IDENTITIES = (
    contract.PERSON_UUID,
    contract.USER_ID,
    contract.PARTY_ID,
    contract.SYSTEM_USER_UUID,
    contract.PERSON_NUMBER,
    contract.ORG_NUMBER,
)


_HELD = (
    contract.ROLE_CODE,
    contract.ACCESS_PACKAGE,
    "urn:altinn:role",
    "urn:altinn:external-role:ccr",
    "urn:altinn:external-role:cra",
    "urn:digitaltdodsbo:rolecode",
)


class InstanceFacts(msgspec.Struct, frozen=True):
    """What storage knows about an instance."""

    org: str
    app: str
    task: str | None
    end_event: str | None


class Unanswerable(Exception):
    """A sub-request cannot be evaluated; it is answered Indeterminate with this status."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.status = Status(code=code, message=message)


class Completed(msgspec.Struct, frozen=True):
    """A request with everything known added, and what it turned out to be about."""

    request: Request
    resource: Resource
    subject: str
    facts: SubjectFacts | None


class ContextHandler:
    """Completes the requests of one call; instance facts are fetched once per instance and call."""

    def __init__(
        self,
        facts: FactCache,
        information: InformationPoint,
        instance_facts: Callable[[str], Awaitable[InstanceFacts | None]],
    ) -> None:
        self._facts = facts
        self._information = information
        self._instance_facts = instance_facts

    async def complete(self, requests: Iterable[Request]) -> list[Completed | Unanswerable]:
        """Every request completed, or why it cannot be. 503 `Problem` when a source of facts is away."""
        instances: dict[str, InstanceFacts | None] = {}
        prepared: list[tuple[Request, Resource, SubjectRef | None, str] | Unanswerable] = []
        parties: dict[SubjectRef, set[int]] = {}
        for request in requests:
            try:
                whole, resource = await self._resource(request, instances)
                whole, subject, name = await self._subject(whole)
            except Unanswerable as reason:
                prepared.append(reason)
                continue
            if subject is not None and resource.party_id is not None:
                parties.setdefault(subject, set()).add(resource.party_id)
            prepared.append((whole, resource, subject, name))
        # One question for each subject, however many sub-requests.
        found = {subject: await self._facts.subject(subject, wanted) for subject, wanted in parties.items()}
        completed: list[Completed | Unanswerable] = []
        for entry in prepared:
            if isinstance(entry, Unanswerable):
                completed.append(entry)
                continue
            request, resource, subject, name = entry
            facts = None
            if subject is not None and resource.party_id is not None:
                facts = found[subject][resource.party_id]
                request = request.extended(_subject_attributes(request, facts))
            completed.append(Completed(request, resource, name, facts))
        return completed

    async def _resource(self, request: Request, instances: dict[str, InstanceFacts | None]) -> tuple[Request, Resource]:
        given = {name: _one(request, contract.RESOURCE, name) for name in _RESOURCE_NAMES}
        org, app = given[contract.ORG], given[contract.APP]
        registered = given[contract.RESOURCE_ID]
        added: list[tuple[str, str]] = []
        if registered is not None and (org is None or app is None):
            parts = registered.split("_", 2)
            if len(parts) == 3 and parts[0] + "_" == APP_RESOURCE_PREFIX:
                org, app = parts[1], parts[2]
                added += [(contract.ORG, org), (contract.APP, app)]
        instance = given[contract.INSTANCE_ID]
        named = given[contract.RESOURCE_INSTANCE_ID]
        if instance is None and named is not None:
            instance = named.removeprefix(_INSTANCE_PREFIX)
            added.append((contract.INSTANCE_ID, instance))
        elif instance is not None and named is None:
            added.append((contract.RESOURCE_INSTANCE_ID, _INSTANCE_PREFIX + instance))
        party = await self._party(given)
        task, end_event = given[contract.TASK], given[contract.END_EVENT]
        looked_up: list[tuple[str, str]] = []
        placed = task is not None or end_event is not None or given[contract.APP_RESOURCE] == "events"
        if instance is not None and not (org and app and party is not None and placed):
            if instance not in instances:
                instances[instance] = await self._instance_facts(instance)
            facts = instances[instance]
            if facts is not None:
                if org is None:
                    added.append((contract.ORG, facts.org))
                if app is None:
                    added.append((contract.APP, facts.app))
                org, app = org or facts.org, app or facts.app
                if not placed and facts.task is not None:
                    task = facts.task
                    added.append((contract.TASK, task))
                elif not placed and facts.end_event is not None:
                    end_event = facts.end_event
                    added.append((contract.END_EVENT, end_event))
                if party is None and (head := instance.partition("/")[0]).isdigit():
                    party = int(head)
                    looked_up.append((contract.PARTY_ID, head))
        if party is not None and given[contract.PARTY_ID] is None and not looked_up:
            added.append((contract.PARTY_ID, str(party)))
        if not org or not app:
            raise Unanswerable(names.MISSING_ATTRIBUTE, "The resource names no app: org and app are needed.")
        if registered is None:
            added.append((contract.RESOURCE_ID, f"{APP_RESOURCE_PREFIX}{org}_{app}"))
        extra = [Attribute(category=contract.RESOURCE, id=name, values=(value,)) for name, value in added]
        extra += [
            Attribute(category=contract.RESOURCE, id=name, values=(value,), include_in_result=True)
            for name, value in looked_up
        ]
        return request.extended(extra), Resource(org, app, party, instance, task, end_event)

    async def _party(self, given: dict[str, str | None]) -> int | None:
        number = given[contract.PARTY_ID]
        if number is not None:
            return _number(number, "resource's party id")
        uuid = given[contract.PARTY_UUID] or given[contract.PERSON_UUID] or given[contract.ORGANISATION_UUID]
        org_number = given[contract.ORG_NUMBER] or given[contract.ORG_NUMBER_OLD]
        person = given[contract.PERSON_NUMBER]
        if uuid is None and org_number is None and person is None:
            return None
        party = await _known(self._information.party_of(uuid=uuid, org_number=org_number, person_number=person))
        if party is None:
            raise Unanswerable(names.PROCESSING_ERROR, "The resource's party is not known.")
        return party.party_id

    async def _subject(self, request: Request) -> tuple[Request, SubjectRef | None, str]:
        """The subject with its identity in place, whom to fetch facts about, and its name for the log."""
        held = request.attributes.get(contract.SUBJECT, {})
        # What somebody holds is for the sources to say, not for whoever asks.
        if claimed := [name for name in _HELD if name in held]:
            request = request.without(contract.SUBJECT, *claimed)
        given = {name: _one(request, contract.SUBJECT, name) for name in _IDENTITIES}
        old = _one(request, contract.SUBJECT, contract.ORG_NUMBER_OLD)
        added: list[tuple[str, str]] = []
        if old is not None and given[contract.ORG_NUMBER] is None:
            given[contract.ORG_NUMBER] = old
            added.append((contract.ORG_NUMBER, old))
        system_user = given[contract.SYSTEM_USER_UUID]
        ref: SubjectRef | None = None
        name = "none"
        if system_user is not None:
            if len(request.attributes.get(contract.SUBJECT, {})) > 1:
                raise Unanswerable(names.PROCESSING_ERROR, "A system user must be the subject's only attribute.")
            ref, name = SubjectRef(system_user_id=_uuid(system_user)), f"systemuser:{system_user}"
        elif (person := given[contract.PERSON_NUMBER]) is not None:
            if given[contract.USER_ID] is not None:
                raise Unanswerable(names.PROCESSING_ERROR, "Give the subject a person number or a user id, not both.")
            who = await _known(self._information.person(person))
            if who is None or who.user_id is None:
                raise Unanswerable(names.PROCESSING_ERROR, "The subject is not a known person.")
            request = request.without(contract.SUBJECT, contract.PERSON_NUMBER)
            added.append((contract.USER_ID, str(who.user_id)))
            ref, name = SubjectRef(user_id=who.user_id, party_id=who.party_id), f"user:{who.user_id}"
        elif (user := given[contract.USER_ID]) is not None:
            ref, name = SubjectRef(user_id=_number(user, "subject's user id")), f"user:{int(user)}"
        elif (uuid := given[contract.PERSON_UUID]) is not None:
            ref, name = SubjectRef(party_uuid=_uuid(uuid)), f"uuid:{uuid}"
        elif (party := given[contract.PARTY_ID]) is not None:
            ref, name = SubjectRef(party_id=_number(party, "subject's party id")), f"party:{int(party)}"
        elif (org := _one(request, contract.SUBJECT, contract.ORG)) is not None:
            name = f"org:{org}"
        elif given[contract.ORG_NUMBER] is not None:
            ref = SubjectRef(org_number=given[contract.ORG_NUMBER])
            name = f"organisation:{given[contract.ORG_NUMBER]}"
        extra = [Attribute(category=contract.SUBJECT, id=name_, values=(value,)) for name_, value in added]
        return request.extended(extra) if extra else request, ref, name


_RESOURCE_NAMES = (
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
)


def _subject_attributes(request: Request, facts: SubjectFacts) -> list[Attribute]:
    held = request.attributes.get(contract.SUBJECT, {})
    return [
        Attribute(category=contract.SUBJECT, id=pair.id, values=(pair.value,))
        for pair in facts.attributes
        if pair.value not in held.get(pair.id, ())
    ]


def _one(request: Request, category: str, name: str) -> str | None:
    """The attribute's only value; a bag of several different ones names nothing."""
    bag = request.attributes.get(category, {}).get(name, ())
    if len(bag) > 1 and len(set(bag)) > 1:
        raise Unanswerable(names.SYNTAX_ERROR, f"{name} has several values.")
    return str(bag[0]) if bag else None


def _number(text: str, what: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:11]) < 2**31):
        raise Unanswerable(names.SYNTAX_ERROR, f"The {what} is not a number.")
    return int(text)


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        raise Unanswerable(names.SYNTAX_ERROR, "The subject's uuid is not a uuid.") from None


async def _known(asking: Awaitable[T | None]) -> T | None:
    """What register says; a number or uuid that it does not accept is somebody unknown."""
    try:
        return await asking
    except Problem as problem:
        if problem.status == 400:
            return None
        raise
