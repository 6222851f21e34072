"""The context handler: completes a call's requests before they are evaluated.

What sub-requests share is completed once, and goes on being shared: the engine decides each distinct set once too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import SubjectFacts, SubjectRef
from havn.engines.xacml import Request
from havn.guard.facts import FactCache
from havn.guard.pep import Resource
from havn.platform.authorization import subjects
from havn.platform.authorization.addresses import Addresses
from havn.platform.authorization.bags import Bags, Unanswerable, with_values
from havn.platform.authorization.pip import InformationPoint
from havn.platform.authorization.resources import CompletedResource, InstanceFacts, ResourceCompletion
from havn.platform.authorization.subjects import CompletedSubject


class Completed(msgspec.Struct, frozen=True):
    """A request with everything known added, and what it turned out to be about."""

    request: Request
    resource: Resource
    subject: str
    facts: SubjectFacts | None


_NOTHING: Bags = {}


class ContextHandler:
    """Completes the requests of one call."""

    def __init__(
        self,
        facts: FactCache,
        information: InformationPoint,
        addresses: Addresses,
        instance_facts: Callable[[str], Awaitable[InstanceFacts | None]],
    ) -> None:
        self._facts = facts
        self._information = information
        self._resources = ResourceCompletion(information, addresses, instance_facts)

    async def complete(self, requests: Iterable[Request]) -> list[Completed | Unanswerable]:
        """Every request completed, or why it cannot be. 503 `Problem` when a source of facts is away."""
        kept = list(requests)
        # By identity: sub-requests that refer to the same group of attributes hold the same dictionary.
        known_resources: dict[int, CompletedResource | Unanswerable] = {}
        known_subjects: dict[int, CompletedSubject | Unanswerable] = {}
        prepared: list[tuple[Request, CompletedResource, CompletedSubject] | Unanswerable] = []
        parties: dict[SubjectRef, set[int]] = {}
        for request in kept:
            if request.error is not None:
                prepared.append(Unanswerable(request.error.code, request.error.message or ""))
                continue
            place = request.attributes.get(contract.RESOURCE, _NOTHING)
            resource = known_resources.get(id(place))
            if resource is None:
                resource = known_resources[id(place)] = await self._resource(place)
            who = request.attributes.get(contract.SUBJECT, _NOTHING)
            subject = known_subjects.get(id(who))
            if subject is None:
                subject = known_subjects[id(who)] = await self._subject(who)
            if isinstance(resource, Unanswerable) or isinstance(subject, Unanswerable):
                prepared.append(resource if isinstance(resource, Unanswerable) else subject)  # type: ignore[arg-type]
                continue
            if subject.ref is not None and resource.resource.party_id is not None:
                parties.setdefault(subject.ref, set()).add(resource.resource.party_id)
            prepared.append((request, resource, subject))
        # One question for each subject, however many sub-requests.
        found = {ref: await self._facts.subject(ref, wanted) for ref, wanted in parties.items()}
        whole: dict[tuple[int, int | None], Bags] = {}
        return [entry if isinstance(entry, Unanswerable) else _completed(*entry, found, whole) for entry in prepared]

    async def _resource(self, bags: Bags) -> CompletedResource | Unanswerable:
        try:
            return await self._resources.complete(bags)
        except Unanswerable as reason:
            return reason

    async def _subject(self, bags: Bags) -> CompletedSubject | Unanswerable:
        try:
            return await subjects.complete(bags, self._information)
        except Unanswerable as reason:
            return reason


def _completed(
    request: Request,
    resource: CompletedResource,
    subject: CompletedSubject,
    found: dict[SubjectRef, dict[int, SubjectFacts]],
    whole: dict[tuple[int, int | None], Bags],
) -> Completed:
    party = resource.resource.party_id
    facts = found[subject.ref][party] if subject.ref is not None and party is not None else None
    key = (id(subject), party if facts is not None else None)
    who = whole.get(key)
    if who is None:
        pairs = [(pair.id, pair.value) for pair in facts.attributes] if facts is not None else []
        who = whole[key] = with_values(subject.bags, pairs)
    completed = Request(
        {**request.attributes, contract.SUBJECT: who, contract.RESOURCE: resource.bags},
        content=request.content,
        echo=request.echo + resource.echo,
        now=request.now,
        return_policy_ids=request.return_policy_ids,
    )
    return Completed(completed, resource.resource, subject.name, facts)
