"""Routes by which an app gives rights on one of its own instances, as signing does, and takes them back.

The app proves itself by its platform token and may only speak of itself; what it gives must be in its own policy.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from typing import Any, Literal
from uuid import UUID

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair, Change, Delegation, Receiver
from havn.engines.app_policy.reading import rules
from havn.guard.platform_token import Caller, PlatformTokenVerifier, require_caller
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.kit.web import json_response, read_json
from havn.platform.authorization.delegations import check_right
from havn.platform.authorization.freshness import Stamp
from havn.platform.authorization.pip import InformationPoint
from havn.platform.authorization.policies import PolicyAdministration
from havn.platform.authorization.store.delegations import DelegationStore

_MAX_RIGHTS = 100


class TypedValue(msgspec.Struct, rename="camel", frozen=True):
    """An attribute in the form of these routes."""

    type: str
    value: str


class Right(msgspec.Struct, rename="camel", frozen=True):
    """An action on a resource."""

    resource: list[TypedValue]
    action: TypedValue


class InstanceRights(msgspec.Struct, rename="camel", frozen=True):
    """Body: who gives what to whom. `from` and `to` are parties by uuid."""

    from_: TypedValue = msgspec.field(name="from")
    to: TypedValue
    rights: list[Right]


class RightStatus(msgspec.Struct, rename="camel", frozen=True):
    """What became of one right."""

    resource: list[TypedValue]
    action: TypedValue
    status: Literal["Delegated", "NotDelegated", "Revoked", "NotRevoked"]


class InstanceAnswer(msgspec.Struct, rename="camel", frozen=True):
    """The answer for one giver and receiver."""

    from_: TypedValue = msgspec.field(name="from")
    to: TypedValue
    resource_id: str
    instance_id: str
    rights: list[RightStatus]


class InstanceDelegationApi:
    """Handlers for apps."""

    def __init__(
        self,
        store: DelegationStore,
        information: InformationPoint,
        administration: PolicyAdministration,
        components: PlatformTokenVerifier,
        *,
        clock: Clock,
        announce: Callable[[Change], None],
    ) -> None:
        self._announce = announce
        self._store = store
        self._information = information
        self._administration = administration
        self._components = components
        self._clock = clock

    def routes(self, base: str, stamp: Stamp) -> list[Route]:
        """The route table, under `base`; `stamp` has writes tell their version."""
        tail = "resource/{resource}/instance/{instance:path}"
        return [
            Route(f"{base}/delegationcheck/{tail}", self.check, methods=["GET"]),
            Route(f"{base}/delegations/{tail}", stamp(self.give), methods=["POST"]),
            Route(f"{base}/delegations/{tail}", self.list_, methods=["GET"]),
            Route(f"{base}/delegationrevoke/{tail}", stamp(self.revoke), methods=["POST"]),
            Route(f"{base}/delegationrevoke/{tail}", stamp(self.revoke_all), methods=["DELETE"]),
        ]

    async def check(self, request: Request) -> Response:
        """GET delegationcheck: the rights of the app's policy, which it may give on its instances."""
        caller, _, _ = await self._about(request)
        data = []
        for resource, action in sorted(await self._rights(caller)):
            typed = [TypedValue(name, value) for name, value in sorted(resource)]
            key = ";".join(f"{pair.type}={pair.value}" for pair in typed) + f";{action}"
            data.append(
                {
                    "rightKey": key,
                    "resource": typed,
                    "action": TypedValue(contract.ACTION_ID, action),
                    "status": "Delegable",
                }
            )
        return json_response({"links": {}, "data": data})

    async def give(self, request: Request) -> Response:
        """POST delegations: 200 when all were given (or held already), 206 when some were, 400 when none."""
        caller, resource_id, instance = await self._about(request)
        asked = await self._read(request)
        from_party, to_party = await self._party(asked.from_, "from"), await self._party(asked.to, "to")
        _check_owner(instance, from_party)
        allowed = await self._rights(caller)
        held = await self._held(instance, from_party, to_party)
        now = self._clock()
        statuses: list[RightStatus] = []
        for right in asked.rights:
            resource = _own_resource(caller, right)
            action = right.action.value
            given = resource is not None and any(
                wanted_action == action and set(wanted).issubset({(pair.id, pair.value) for pair in resource})
                for wanted, wanted_action in allowed
            )
            if given and resource is not None and (tuple(resource), action) not in held:
                await self._store.add(
                    Delegation(
                        id=str(uuid.uuid4()), from_party_id=from_party, to=Receiver(party_id=to_party), kind="right",
                        resource=resource, action=action, instance_id=instance, valid_from=now, further=0, depth=0,
                        given=now, given_by=f"app:{caller.org}/{caller.app}",
                    )
                )  # fmt: skip
            statuses.append(RightStatus(right.resource, right.action, "Delegated" if given else "NotDelegated"))
        self._announce(Change("facts", party_id=from_party))
        return _answer(asked, resource_id, instance, statuses, good="Delegated")

    async def list_(self, request: Request) -> Response:
        """GET delegations: what is given on the instance."""
        caller, resource_id, instance = await self._about(request)
        found = await self._in_force(caller, instance)
        uuids: dict[int, str] = {}
        parties = {delegation.from_party_id for delegation in found}
        parties.update(delegation.to.party_id for delegation in found if delegation.to.party_id is not None)
        for party in await self._information.parties(sorted(parties)):
            uuids[party.party_id] = party.party_uuid
        grouped: dict[tuple[int, int], list[RightStatus]] = {}
        for delegation in found:
            if delegation.to.party_id is not None:
                grouped.setdefault((delegation.from_party_id, delegation.to.party_id), []).append(
                    RightStatus(
                        [TypedValue(pair.id, pair.value) for pair in delegation.resource or []],
                        TypedValue(contract.ACTION_ID, delegation.action or ""),
                        "Delegated",
                    )
                )
        data = [
            InstanceAnswer(
                TypedValue(contract.PARTY_UUID, uuids.get(giver, "")),
                TypedValue(contract.PARTY_UUID, uuids.get(receiver, "")),
                resource_id,
                instance,
                rights,
            )
            for (giver, receiver), rights in grouped.items()
        ]
        return json_response({"links": {}, "data": data})

    async def revoke(self, request: Request) -> Response:
        """POST delegationrevoke: takes back the rights named."""
        caller, resource_id, instance = await self._about(request)
        asked = await self._read(request)
        from_party, to_party = await self._party(asked.from_, "from"), await self._party(asked.to, "to")
        held = await self._held(instance, from_party, to_party)
        statuses = []
        for right in asked.rights:
            resource = _own_resource(caller, right)
            id_ = held.get((tuple(resource), right.action.value)) if resource is not None else None
            if id_ is not None:
                await self._store.revoke(id_, at=self._clock(), by=f"app:{caller.org}/{caller.app}")
            statuses.append(RightStatus(right.resource, right.action, "Revoked" if id_ is not None else "NotRevoked"))
        self._announce(Change("facts", party_id=from_party))
        return _answer(asked, resource_id, instance, statuses, good="Revoked")

    async def revoke_all(self, request: Request) -> Response:
        """DELETE delegationrevoke: takes back everything the app gave on the instance."""
        caller, resource_id, instance = await self._about(request)
        found = await self._in_force(caller, instance)
        for delegation in found:
            await self._store.revoke(delegation.id, at=self._clock(), by=f"app:{caller.org}/{caller.app}")
            self._announce(Change("facts", party_id=delegation.from_party_id))
        return json_response({"resourceId": resource_id, "instanceId": instance, "revoked": len(found)})

    async def _about(self, request: Request) -> tuple[Caller, str, str]:
        caller = await require_caller(request, self._components)
        resource_id, instance = request.path_params["resource"], request.path_params["instance"]
        if resource_id != f"app_{caller.org}_{caller.app}":
            raise Problem(403, "An app gives rights to itself only.", code="foreign_app")
        instance = instance.removeprefix("urn:altinn:instance-id:")
        try:
            guid = str(UUID(instance.rpartition("/")[2]))
        except ValueError:
            raise Problem(400, "The instance id must end in a guid.", code="invalid_instance") from None
        head = instance.rpartition("/")[0]
        if head and not (head.isascii() and head.isdigit()):
            raise Problem(400, "The instance id must begin with a party id.", code="invalid_instance")
        return caller, resource_id, f"{head}/{guid}" if head else guid

    async def _read(self, request: Request) -> InstanceRights:
        asked = await read_json(request, InstanceRights)
        if not 1 <= len(asked.rights) <= _MAX_RIGHTS:
            raise Problem(400, f"Name between 1 and {_MAX_RIGHTS} rights.", code="invalid_rights")
        return asked

    async def _party(self, named: TypedValue, which: str) -> int:
        if named.type != contract.PARTY_UUID:
            raise Problem(400, f"`{which}` must be a {contract.PARTY_UUID}.", code="invalid_party")
        try:
            party = await self._information.party_of(uuid=str(UUID(named.value)))
        except ValueError:
            party = None
        if party is None:
            raise Problem(400, f"`{which}` is not a known party.", code="invalid_party")
        return party.party_id

    async def _rights(self, caller: Caller) -> set[tuple[tuple[tuple[str, str], ...], str]]:
        """(resource, action) of every Permit rule of the app's policy."""
        _, document = await self._administration.document(caller.org, caller.app)
        return {
            (tuple((pair.id, pair.value) for pair in grant.resource), grant.action.value)
            for view in rules(document)
            if view.permits
            for grant in view.grants
            if grant.action is not None and grant.resource
        }

    async def _in_force(self, caller: Caller, instance: str) -> Sequence[Delegation]:
        found = await self._store.search(
            from_party=None, to_party=None, to_user=None, in_force_at=self._clock(), instance_id=instance
        )
        return [entry for entry in found if entry.given_by == f"app:{caller.org}/{caller.app}"]

    async def _held(self, instance: str, giver: int, receiver: int) -> dict[tuple[Any, str], str]:
        found = await self._store.search(
            from_party=giver, to_party=receiver, to_user=None, in_force_at=self._clock(), instance_id=instance
        )
        return {(tuple(entry.resource or ()), entry.action or ""): entry.id for entry in found}


def _own_resource(caller: Caller, right: Right) -> list[AttributePair] | None:
    """The resource with org and app in place of the resource id; None when it is not the caller's own app."""
    pairs = [AttributePair(pair.type, pair.value) for pair in right.resource]
    try:
        check_right(pairs, right.action.value)
    except Problem:
        return None
    held = {pair.id: pair.value for pair in pairs}
    if held.pop(contract.RESOURCE_ID, f"app_{caller.org}_{caller.app}") != f"app_{caller.org}_{caller.app}":
        return None
    if (
        held.setdefault(contract.ORG, caller.org) != caller.org
        or held.setdefault(contract.APP, caller.app) != caller.app
    ):
        return None
    return [AttributePair(name, value) for name, value in sorted(held.items())]


def _check_owner(instance: str, from_party: int) -> None:
    head = instance.rpartition("/")[0]
    if head and int(head) != from_party:
        raise Problem(400, "The instance belongs to another party.", code="invalid_instance")


def _answer(
    asked: InstanceRights, resource_id: str, instance: str, statuses: list[RightStatus], *, good: str
) -> Response:
    done = sum(status.status == good for status in statuses)
    if done == 0:
        raise Problem(
            400, "None of the rights could be handled.", code="no_rights_handled",
            rights=msgspec.to_builtins(statuses),
        )  # fmt: skip
    answer = InstanceAnswer(asked.from_, asked.to, resource_id, instance, statuses)
    return json_response(answer, 200 if done == len(statuses) else 206)
