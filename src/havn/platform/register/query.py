"""V2 queries: parties by URNs of any kind, mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote
from uuid import UUID

from havn.contracts.register import PartyType
from havn.engines.identifiers import EnvironmentType, organisation_number_fault, person_number_fault
from havn.platform.register.parties import StoredParty, to_record, validation_problem
from havn.platform.register.store import Store

_MAX = 100
_PREFIXES = {
    "urn:altinn:party:id:": "id",
    "urn:altinn:partyid:": "id",
    "urn:altinn:party:uuid:": "uuid",
    "urn:altinn:person:identifier-no:": "person",
    "urn:altinn:organization:identifier-no:": "organization",
    "urn:altinn:user:id:": "user",
    "urn:altinn:party:username:": "username",
    "urn:altinn:person:idporten-email:": "identity",
}


async def run(
    store: Store, urns: Sequence[str], fields: frozenset[str], environment_type: EnvironmentType
) -> tuple[list[dict[str, Any]], bool]:
    """Records of the parties found, and whether every URN was answered. 400 naming the first bad URN."""
    if len(urns) > _MAX:
        raise validation_problem("REG.VLD-00001", f"At most {_MAX} parties can be asked for.", "/data")
    wanted: dict[str, set[str]] = {}
    for index, urn in enumerate(urns):
        kind, value = _parse(urn, f"/data/{index}", environment_type)
        wanted.setdefault(kind, set()).add(value)
    found: dict[int, StoredParty] = {}
    answered = 0

    def take(parties: Sequence[StoredParty], values: set[str], keys: list[set[str]]) -> None:
        nonlocal answered
        found.update({party.id: party for party in parties})
        answered += len(values & set().union(*keys))

    if ids := wanted.get("id"):
        parties = await store.by_ids([int(value) for value in ids])
        take(parties, ids, [{str(party.id)} for party in parties])
    if uuids := wanted.get("uuid"):
        parties = await store.by_uuids(sorted(uuids))
        take(parties, uuids, [{party.uuid} for party in parties])
    for kind, type_ in (("person", PartyType.PERSON), ("organization", PartyType.ORGANISATION)):
        if numbers := wanted.get(kind):
            parties = await store.by_numbers(type_, sorted(numbers))
            take(parties, numbers, [{party.number or ""} for party in parties])
    users, names, identities = (wanted.get(kind, set()) for kind in ("user", "username", "identity"))
    if users or names or identities:
        parties = await store.by_users(
            ids=[int(value) for value in users], names=sorted(names), identities=sorted(identities)
        )
        take(parties, users, [{str(party.user_id)} for party in parties])
        take(parties, names, [{party.username or ""} for party in parties])
        take(parties, identities, [{party.external_identity or ""} for party in parties])
    complete = answered == sum(len(values) for values in wanted.values())
    return [to_record(party, fields) for party in found.values()], complete


def _parse(urn: str, path: str, environment_type: EnvironmentType) -> tuple[str, str]:
    for prefix, kind in _PREFIXES.items():
        if not urn.startswith(prefix):
            continue
        value = urn[len(prefix) :]
        if kind in ("id", "user"):
            if not (value.isascii() and value.isdigit() and len(value) <= 10 and 0 < int(value) < 2**31):
                raise validation_problem("REG.VLD-00009", "This party id is not valid.", path)
            return kind, str(int(value))
        if kind == "uuid":
            try:
                return kind, str(UUID(value))
            except ValueError:
                raise validation_problem("REG.VLD-00010", "This party uuid is not valid.", path) from None
        if kind == "person" and person_number_fault(value, environment_type) is not None:
            raise validation_problem("REG.VLD-00007", "This national identity number is not valid.", path)
        if kind == "organization" and organisation_number_fault(value) is not None:
            raise validation_problem("REG.VLD-00006", "This organisation number is not valid.", path)
        if kind == "identity":
            # Kept as identity providers' addresses are: lower case, the rest as written in the URN.
            return kind, "urn:altinn:person:idporten-email:" + quote(unquote(value).lower(), safe="")
        if value:
            return kind, value
    raise validation_problem("REG.VLD-00002", "This party URN is not of a known kind.", path)
