"""Instances: make, get, list, delete, complete, mark, copy.

Every function checks access by the app's policy before it acts (storage checks again), and raises
`havn.kit.problem.Problem` with the status that the HTTP API documents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from havn.contracts.storage import Instance, Substatus
    from havn.runtime.actor import Actor
    from havn.runtime.context import AppContext


class OwnerRef(msgspec.Struct, frozen=True, rename="camel"):
    """Names the party that will own an instance; exactly one member is used, in this order."""

    party_id: str | None = None
    person_number: str | None = None
    organisation_number: str | None = None
    username: str | None = None


class Part(msgspec.Struct, frozen=True):
    """One data element sent along at instantiation."""

    data_type: str
    content_type: str
    content: bytes
    filename: str | None = None


class ActiveInstance(msgspec.Struct, frozen=True, rename="camel"):
    """One line of the list a user chooses an unfinished instance from."""

    id: str
    presentation_texts: Mapping[str, str]
    due_before: str | None
    last_changed: str
    last_changed_by: str


async def create(
    context: AppContext,
    actor: Actor,
    owner: OwnerRef,
    *,
    prefill: Mapping[str, str] | None = None,
    parts: Sequence[Part] = (),
    due_before: str | None = None,
    visible_after: str | None = None,
) -> Instance:
    """Make an instance for `owner` and start its process.

    Problems: 404 unknown party; 403 not allowed (policy, party type, `disallowUserInstantiation`, or the app's own
    instantiation validator: then with `valid`, `message`, `customTextKey`); 400 a part is wrong; 409 the process
    cannot start. When something fails after the instance was made, it is deleted again.
    """
    raise NotImplementedError


async def get(context: AppContext, actor: Actor, party_id: int, instance_guid: str) -> Instance:
    """One instance, elements that the actor may not read left out; marks it read. Problems: 403, 404."""
    raise NotImplementedError


async def active(context: AppContext, actor: Actor, party_id: int) -> list[ActiveInstance]:
    """The party's unfinished, undeleted instances of this app, last changed first, names instead of ids."""
    raise NotImplementedError


async def delete(context: AppContext, actor: Actor, party_id: int, instance_guid: str, *, hard: bool) -> Instance:
    """Delete, for good when `hard`. Problems: 403, 404."""
    raise NotImplementedError


async def complete(context: AppContext, actor: Actor, party_id: int, instance_guid: str) -> Instance:
    """The service owner confirms that it has fetched the instance."""
    raise NotImplementedError


async def set_substatus(
    context: AppContext, actor: Actor, party_id: int, instance_guid: str, substatus: Substatus
) -> Instance:
    """Set what the owner wants shown beside the status; only the owning org may (403)."""
    raise NotImplementedError


async def copy(context: AppContext, actor: Actor, party_id: int, instance_guid: str) -> Instance:
    """A new instance with the archived one's data. Problems: 400 not allowed by the app or not archived; 403."""
    raise NotImplementedError


def to_app_json(context: AppContext, instance: Instance, *, base: str) -> dict[str, Any]:
    """The instance as the app's own API writes it: nulls included, `readStatus` a number, links made from `base`."""
    raise NotImplementedError
