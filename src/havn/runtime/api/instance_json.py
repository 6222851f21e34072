"""Instances and data elements as an app writes them: nulls included, links to itself, the owner's party."""

from __future__ import annotations

from typing import Any

import msgspec

from havn.contracts.register import Party
from havn.contracts.storage import READ_STATUSES, DataElement, Instance, InstanceOwner, InstanceStatus
from havn.runtime.api.common import with_nulls


def instance(found: Instance, base: str, party: Party | None = None) -> dict[str, Any]:
    """`base` is the app's public address; `readStatus` is a number here, and text in storage."""
    document: dict[str, Any] = with_nulls(found)
    status = found.status or InstanceStatus()
    document["status"] = with_nulls(status) | {"readStatus": READ_STATUSES.index(status.read_status)}
    owner = with_nulls(found.instance_owner or InstanceOwner())
    if party is not None:
        owner["party"] = {
            "partyId": party.party_id,
            "partyUuid": party.party_uuid,
            "partyTypeName": party.party_type_name,
            "ssn": party.ssn,
            "orgNumber": party.org_number,
            "unitType": party.unit_type,
            "name": party.name,
            "isDeleted": party.is_deleted,
        }
    document["instanceOwner"] = owner
    for member in ("presentationTexts", "dataValues"):
        document[member] = document[member] or {}
    document["completeConfirmations"] = document["completeConfirmations"] or []
    document["selfLinks"] = _links(found.self_links, f"{base}/instances/{found.id}")
    document["data"] = [element(each, found.id or "", base) for each in found.data]
    return document


def element(found: DataElement, instance_id: str, base: str) -> dict[str, Any]:
    """A data element likewise."""
    document: dict[str, Any] = with_nulls(found)
    document["selfLinks"] = _links(found.self_links, f"{base}/instances/{instance_id}/data/{found.id}")
    for member in ("userDefinedMetadata", "metadata", "references"):
        document[member] = document[member] or []
    return document


def _links(platform: Any, apps: str) -> dict[str, Any]:
    known = msgspec.to_builtins(platform).get("platform") if platform is not None else None
    return {"apps": apps, "platform": known}
