"""Parties as they are stored, and the two shapes they are answered in: V1 `Party`, and V2 records of chosen fields."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any

import msgspec

from havn.contracts.register import Organization, Party, PartyType, Person
from havn.kit.problem import Problem


class StoredParty(msgspec.Struct, frozen=True, kw_only=True):
    """One party with everything the register knows about it."""

    id: int
    uuid: str
    type: PartyType
    external_urn: str
    number: str | None
    name: str
    unit_type: str | None
    main_unit: int | None
    person: Person | None
    organization: Organization | None
    date_of_birth: date | None
    email: str | None
    created: datetime
    modified: datetime
    deleted_at: datetime | None
    version: int
    user_id: int | None
    username: str | None
    external_identity: str | None
    replaced_by: str | None = None


def to_party(stored: StoredParty, children: list[Party] | None = None) -> Party:
    """The V1 shape."""
    return Party(
        party_id=stored.id,
        party_uuid=stored.uuid,
        external_urn=stored.external_urn,
        party_type_name=stored.type,
        org_number=stored.number if stored.type is PartyType.ORGANISATION else None,
        ssn=stored.number if stored.type is PartyType.PERSON else None,
        unit_type=stored.unit_type,
        name=stored.name,
        is_deleted=stored.deleted_at is not None,
        person=stored.person,
        organization=stored.organization,
        child_parties=children,
        last_changed_in_altinn=stored.modified,
        last_changed_in_external_register=stored.modified,
    )


def as_tree(parties: Iterable[StoredParty], represented: Collection[int]) -> list[Party]:
    """V1 parties with sub-units inside their main unit; a main unit not in `represented` is shown only to hold them."""
    found = {stored.id: stored for stored in parties}
    children: dict[int, list[Party]] = {}
    for stored in found.values():
        if stored.main_unit in found:
            children.setdefault(stored.main_unit, []).append(to_party(stored))
    tree = []
    for stored in found.values():
        if stored.main_unit in found:
            continue
        below = children.get(stored.id, []) if stored.type is PartyType.ORGANISATION else None
        party = to_party(stored, below)
        if stored.id not in represented:
            party = msgspec.structs.replace(party, only_hierarchy_element_with_no_access=True)
        tree.append(party)
    return tree


def fold(text: str) -> str:
    """`text` without case and diacritics, æ ø å as ae o a: how names are searched."""
    plain = text.casefold().translate({ord("æ"): "ae", ord("ø"): "o", ord("đ"): "d", ord("ŋ"): "n", ord("ŧ"): "t"})
    return "".join(c for c in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(c))


# V2: each field name with the members it adds. The value None means "emit null".

_Reader = Callable[[StoredParty], Any]


def _person(name: str) -> _Reader:
    return lambda stored: getattr(stored.person, name) if stored.person else None


def _organization(name: str) -> _Reader:
    return lambda stored: getattr(stored.organization, name) if stored.organization else None


def _user(stored: StoredParty) -> dict[str, Any] | None:
    if stored.user_id is None:
        return None
    names = [stored.username] if stored.username else []
    return {"userId": stored.user_id, "username": stored.username, "userIds": [stored.user_id], "usernames": names}


def _address(stored: StoredParty) -> dict[str, Any] | None:
    person = stored.person
    if person is None or not (person.address_street_name or person.address_city):
        return None
    return {
        "municipalNumber": person.address_municipal_number,
        "municipalName": person.address_municipal_name,
        "streetName": person.address_street_name,
        "houseNumber": person.address_house_number,
        "houseLetter": person.address_house_letter,
        "postalCode": person.address_postal_code,
        "city": person.address_city,
    }


def _mailing(stored: StoredParty) -> dict[str, Any] | None:
    detail = stored.person or stored.organization
    if detail is None or not detail.mailing_address:
        return None
    return {
        "address": detail.mailing_address,
        "postalCode": detail.mailing_postal_code,
        "city": detail.mailing_postal_city,
    }


def _business(stored: StoredParty) -> dict[str, Any] | None:
    detail = stored.organization
    if detail is None or not detail.business_address:
        return None
    return {
        "address": detail.business_address,
        "postalCode": detail.business_postal_code,
        "city": detail.business_postal_city,
    }


_TYPE_NAMES = {
    PartyType.PERSON: "person",
    PartyType.ORGANISATION: "organization",
    PartyType.SELF_IDENTIFIED: "self-identified-user",
}

# Members, the party type they belong to (None: all), and where they come from.
_MEMBERS: Mapping[str, tuple[str, PartyType | None, _Reader]] = {
    "uuid": ("partyUuid", None, lambda s: s.uuid),
    "id": ("partyId", None, lambda s: s.id),
    "type": ("partyType", None, lambda s: _TYPE_NAMES[s.type]),
    "ext-urn": ("externalUrn", None, lambda s: s.external_urn),
    "display-name": ("displayName", None, lambda s: s.name),
    "person-id": ("personIdentifier", PartyType.PERSON, lambda s: s.number),
    "org-id": ("organizationIdentifier", PartyType.ORGANISATION, lambda s: s.number),
    "created": ("createdAt", None, lambda s: s.created),
    "modified": ("modifiedAt", None, lambda s: s.modified),
    "deleted": ("isDeleted", None, lambda s: s.deleted_at is not None),
    "deleted-at": ("deletedAt", None, lambda s: s.deleted_at),
    "version": ("versionId", None, lambda s: s.version),
    "person.source": ("source", PartyType.PERSON, lambda _: "npr"),
    "person.first-name": ("firstName", PartyType.PERSON, _person("first_name")),
    "person.middle-name": ("middleName", PartyType.PERSON, _person("middle_name")),
    "person.last-name": ("lastName", PartyType.PERSON, _person("last_name")),
    "person.short-name": ("shortName", PartyType.PERSON, _person("name")),
    "person.address": ("address", PartyType.PERSON, _address),
    "person.mailing-address": ("mailingAddress", PartyType.PERSON, _mailing),
    "person.date-of-birth": ("dateOfBirth", PartyType.PERSON, lambda s: s.date_of_birth),
    "person.date-of-death": ("dateOfDeath", PartyType.PERSON, _person("date_of_death")),
    "org.source": ("source", PartyType.ORGANISATION, lambda _: "ccr"),
    "org.status": ("unitStatus", PartyType.ORGANISATION, _organization("unit_status")),
    "org.type": ("unitType", PartyType.ORGANISATION, lambda s: s.unit_type),
    "org.telephone": ("telephoneNumber", PartyType.ORGANISATION, _organization("telephone_number")),
    "org.mobile": ("mobileNumber", PartyType.ORGANISATION, _organization("mobile_number")),
    "org.fax": ("faxNumber", PartyType.ORGANISATION, _organization("fax_number")),
    "org.email": ("emailAddress", PartyType.ORGANISATION, _organization("e_mail_address")),
    "org.internet": ("internetAddress", PartyType.ORGANISATION, _organization("internet_address")),
    "org.mailing-address": ("mailingAddress", PartyType.ORGANISATION, _mailing),
    "org.business-address": ("businessAddress", PartyType.ORGANISATION, _business),
    "si.type": (
        "selfIdentifiedUserType",
        PartyType.SELF_IDENTIFIED,
        lambda s: "idporten-email" if s.email else "external",
    ),
    "si.email": ("email", PartyType.SELF_IDENTIFIED, lambda s: s.email),
}

_IDENTIFIERS = ("uuid", "id", "type", "ext-urn", "person-id", "org-id")
_GROUPS: Mapping[str, tuple[str, ...]] = {
    "identifiers": _IDENTIFIERS,
    "person": tuple(name for name in _MEMBERS if name.startswith("person.")),
    "person.name": ("person.first-name", "person.middle-name", "person.last-name", "person.short-name"),
    "org": tuple(name for name in _MEMBERS if name.startswith("org.")),
    "si": ("si.type", "si.email"),
    # No system users are kept here; the field is known and adds nothing to the parties there are.
    "sysuser": (),
    "sysuser.type": (),
    "user": ("user.id", "user.name"),
    "party": (
        "uuid",
        "id",
        "type",
        "ext-urn",
        "display-name",
        "created",
        "modified",
        "deleted",
        "deleted-at",
        "version",
    ),
}
_USER_FIELDS = ("user.id", "user.name")


def parse_fields(text: str | None) -> frozenset[str]:
    """The single fields that a `fields` query means; 400 for an unknown one and for `org.subunits`."""
    asked = [part.strip() for part in text.split(",")] if text else ["identifiers", "display-name"]
    fields: set[str] = set()
    for name in asked:
        if name in _GROUPS:
            fields.update(_GROUPS[name])
        elif name in _MEMBERS or name in _USER_FIELDS:
            fields.add(name)
        elif name == "org.subunits":
            raise fields_problem("REG.VLD-00000", "Sub-units are not allowed here.")
        else:
            raise fields_problem("REG.VLD-00013", f"There is no field {name[:40]!r}.")
    return frozenset(fields)


def fields_problem(code: str, detail: str) -> Problem:
    """A 400 about the query parameter `fields`."""
    return validation_problem(code, detail, "/$QUERY/fields")


def validation_problem(code: str, detail: str, path: str) -> Problem:
    """A 400 with one validation error."""
    return Problem(
        400,
        detail,
        title="One or more validation errors occurred.",
        code="STD-00000",
        validationErrors=[{"code": code, "detail": detail, "paths": [path]}],
    )


def to_record(stored: StoredParty, fields: frozenset[str]) -> dict[str, Any]:
    """The V2 shape: what was asked for, null where there is no value, absent where it was not asked."""
    record: dict[str, Any] = {"urn": f"urn:altinn:party:uuid:{stored.uuid}"} if "uuid" in fields else {}
    for name, (member, type_, reader) in _MEMBERS.items():
        if name in fields and (type_ is None or type_ is stored.type):
            record[member] = reader(stored)
    wanted = [name for name in _USER_FIELDS if name in fields]
    if wanted:
        user = _user(stored)
        if user is not None and "user.name" not in fields:
            user = {"userId": user["userId"], "userIds": user["userIds"]}
        elif user is not None and "user.id" not in fields:
            user = {"username": user["username"], "usernames": user["usernames"]}
        record["user"] = user
    if stored.replaced_by is not None and "deleted" in fields:
        record["replacedBy"] = stored.replaced_by
    return record
