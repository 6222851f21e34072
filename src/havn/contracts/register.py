"""Wire types of the Register API: parties (persons, organisations, self-identified users) and roles between them.

Members that have no value are emitted as null, as clients of the V1 routes expect.
"""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Any, Literal

import msgspec


class PartyType(enum.IntEnum):
    """Kinds of party. Register emits the first three: a sub-unit is an organisation with a sub-unit's unit type."""

    PERSON = 1
    ORGANISATION = 2
    SELF_IDENTIFIED = 3
    SUB_UNIT = 4
    BANKRUPTCY_ESTATE = 5


SUB_UNIT_TYPES = frozenset({"BEDR", "AAFY"})
"""Unit types of sub-units."""


class Person(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A person, as the national register knows them."""

    ssn: str
    name: str
    first_name: str
    middle_name: str | None = None
    last_name: str
    telephone_number: str | None = None
    mobile_number: str | None = None
    mailing_address: str | None = None
    mailing_postal_code: str | None = None
    mailing_postal_city: str | None = None
    address_municipal_number: str | None = None
    address_municipal_name: str | None = None
    address_street_name: str | None = None
    address_house_number: str | None = None
    address_house_letter: str | None = None
    address_postal_code: str | None = None
    address_city: str | None = None
    date_of_death: str | None = None


class Organization(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An organisation or sub-unit, as the business register knows it."""

    org_number: str
    name: str
    unit_type: str
    telephone_number: str | None = None
    mobile_number: str | None = None
    fax_number: str | None = None
    e_mail_address: str | None = None
    internet_address: str | None = None
    mailing_address: str | None = None
    mailing_postal_code: str | None = None
    mailing_postal_city: str | None = None
    business_address: str | None = None
    business_postal_code: str | None = None
    business_postal_city: str | None = None
    unit_status: str = "N"


class Party(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Anyone who can own an instance."""

    party_id: int
    party_uuid: str
    external_urn: str | None = None
    party_type_name: PartyType
    org_number: str | None = None
    ssn: str | None = None
    unit_type: str | None = None
    name: str
    is_deleted: bool = False
    only_hierarchy_element_with_no_access: bool = False
    person: Person | None = None
    organization: Organization | None = None
    child_parties: list[Party] | None = None
    last_changed_in_altinn: datetime | None = None
    last_changed_in_external_register: datetime | None = None


class PartyLookup(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who is meant: exactly one of the two numbers."""

    ssn: str | None = None
    org_no: str | None = None


class NamesLookup(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST `parties/nameslookup`; at most 1000."""

    parties: list[PartyLookup]


class PersonName(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A person's name in parts."""

    first_name: str
    middle_name: str | None
    last_name: str


class PartyName(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The name behind one number; null when the number is unknown."""

    ssn: str | None
    org_no: str | None
    name: str | None
    person_name: PersonName | msgspec.UnsetType | None = msgspec.UNSET


class PartyNames(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Answer of POST `parties/nameslookup`, in the order asked."""

    party_names: list[PartyName]


class PartyIdentifiers(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The three keys of one party; `orgNumber` is null for persons."""

    party_id: int
    party_uuid: str
    org_number: str | None


class PartyQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Body of a V2 query: party URNs of any kind, at most 100."""

    data: list[str]


class PartyRecords(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of a V2 query. A member not asked for is absent; one asked for and empty is null."""

    data: list[dict[str, Any]]


class User(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Somebody who can sign in, and the party they are."""

    user_id: int
    username: str | None
    external_identity: str | None
    party: Party


class UserQuery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which user: the first member that is set counts, in this order."""

    user_id: int | None = None
    user_uuid: str | None = None
    username: str | None = None
    ssn: str | None = None
    external_identity: str | None = None
    party_id: int | None = None


class NewSelfIdentifiedUser(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user known only by what an identity provider says; made at first sight."""

    external_identity: str
    username: str
    email: str | None = None


RoleSource = Literal["ccr", "cra", "altinn"]
"""Business register, person register, or given in the platform itself."""


class Role(msgspec.Struct, frozen=True, kw_only=True, rename="camel", order=True):
    """A role that one party holds for another.

    `code` is the short code of policies, lower case (`dagl`); `urn` the same role in the newer naming, or null.
    `inherited` tells how it came: held for the party itself (empty), through its main unit (`main-unit`), because the
    subject is a key person of an organisation that holds it (`key-role`), or both.
    """

    code: str
    urn: str | None
    source: RoleSource
    inherited: list[Literal["main-unit", "key-role"]] = []


class RolesQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Body of POST `internal/roles`: roles that `subject` holds for each of `objects` (party ids, at most 1000)."""

    subject: int
    objects: list[int]


class PartyRoles(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The roles held for one party, and the main unit of that party when it is a sub-unit."""

    party: int
    roles: list[Role]
    main_unit: int | None = None


class RolesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of POST `internal/roles`, in the order asked; facts are no older than `version`."""

    version: int
    data: list[PartyRoles]


class RepresentedParties(msgspec.Struct, frozen=True, kw_only=True):
    """Parties someone may represent, sub-units inside their main unit; facts are no older than `version`."""

    version: int
    data: list[Party]


class RoleChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One role assignment that was made or withdrawn: `from_party` gives, `to_party` holds."""

    version: int
    from_party: int
    to_party: int
    code: str
    source: RoleSource
    removed: bool


class RoleChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Role changes after a version, oldest first; ask again with `next`."""

    next: int
    data: list[RoleChange]
