"""A query for instances as the query parameters of `GET /instances`."""

from __future__ import annotations

from havn.clients.calls import flag
from havn.contracts.storage import InstanceQuery

_QUERY_NAMES = {
    "org": "org",
    "app_id": "appId",
    "party_id": "instanceOwner.partyId",
    "current_task": "process.currentTask",
    "is_complete": "process.isComplete",
    "ended": "process.ended",
    "due_before": "dueBefore",
    "visible_after": "visibleAfter",
    "created": "created",
    "last_changed": "lastChanged",
    "is_archived": "status.isArchived",
    "is_soft_deleted": "status.isSoftDeleted",
    "is_hard_deleted": "status.isHardDeleted",
    "confirmed": "confirmed",
    "exclude_confirmed_by": "excludeConfirmedBy",
    "archive_reference": "A3Ref",
    "search_string": "searchString",
    "order": "order",
    "size": "size",
    "include_data_elements": "includeDataElements",
    "continuation_token": "continuationToken",
}


def query_params(query: InstanceQuery) -> dict[str, str | list[str]]:
    """`query` as the query parameters of `GET /instances`; what is not set is left out."""
    params: dict[str, str | list[str]] = {}
    for field, name in _QUERY_NAMES.items():
        value = getattr(query, field)
        if isinstance(value, bool):
            params[name] = flag(value)
        elif isinstance(value, tuple):
            if value:
                params[name] = list(value)
        elif value is not None:
            params[name] = str(value)
    return params
