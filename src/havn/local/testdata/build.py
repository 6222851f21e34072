"""Making parties one by one: valid numbers, stable uuids, register shapes."""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterable
from datetime import date, datetime

from havn.contracts.register import Organization, PartyType, Person, RoleSource
from havn.engines.identifiers import complete_organisation_number, complete_person_number
from havn.local.testdata.dataset import Dataset, Login, ProfileFacts
from havn.local.testdata.names import PLACES, STREETS
from havn.platform.profile.store import Contact, Preferences
from havn.platform.register.store import NewParty, NewRole

ROLE_NAMES = {
    "dagl": "daglig leder",
    "lede": "styreleder",
    "nest": "nestleder",
    "medl": "styremedlem",
    "vara": "varamedlem",
    "innh": "innehaver",
    "dtso": "deltaker",
    "bobe": "bostyrer",
    "kont": "kontaktperson",
    "regn": "regnskapsfører",
    "revi": "revisor",
    "ffør": "forretningsfører",
    "sign": "signaturrett",
    "regna": "regnskapsfører med signeringsrett",
    "regnu": "regnskapsfører uten signeringsrett",
    "utinn": "utfyller og innsender",
    "verge": "verge",
}

# What a person at the top of an organisation has held in the platform since before packages of rights came.
_OLD_ROLES = ("hadm", "admai", "siskd", "uiluf", "utinn", "utomr", "signe", "loper", "apiadm", "uinf")
_TOP = ("dagl", "lede", "innh", "dtso", "bobe")


class Builder:
    """Collects one set. With `ids`, parties get fixed ids in order; without, the register gives them.

    `taken` are numbers that must not be made again.
    """

    def __init__(self, name: str, seed: int, *, ids: bool, taken: Iterable[str] = ()) -> None:
        self.random = random.Random(seed)  # noqa: S311  (repeatable on purpose)
        self._name = name
        self._ids = ids
        self._numbers = set(taken)
        self._next = {PartyType.PERSON: 50_000_000, PartyType.ORGANISATION: 51_000_000}
        self._next_user = 20_000_000
        self._parties: dict[str, NewParty] = {}
        self._roles: list[NewRole] = []
        self._profiles: list[ProfileFacts] = []
        self._logins: dict[str, tuple[dict[str, str], bool]] = {}

    def person(
        self,
        first: str,
        last: str,
        born: date,
        *,
        about: dict[str, str] | None = None,
        d_number: bool = False,
        protected: bool = False,
        died: date | None = None,
        contact: Contact | None = None,
        preferences: Preferences | None = None,
        login: bool = True,
    ) -> NewParty:
        """A person who is a user; one with a protected address has a name and nothing else."""
        number = self._person_number(born, d_number=d_number)
        place, street = self.random.choice(PLACES), self.random.choice(STREETS)
        house = str(self.random.randint(1, 60))
        address = (
            {}
            if protected
            else {
                "mailing_address": f"{street} {house}",
                "mailing_postal_code": place[2],
                "mailing_postal_city": place[3],
                "address_municipal_number": place[0],
                "address_municipal_name": place[1],
                "address_street_name": street,
                "address_house_number": house,
                "address_postal_code": place[2],
                "address_city": place[3],
            }
        )
        name = f"{last} {first}".upper()
        urn = f"urn:altinn:person:identifier-no:{number}"
        party = NewParty(
            id=self._id(PartyType.PERSON),
            uuid=_uuid(urn),
            type=PartyType.PERSON,
            external_urn=urn,
            number=number,
            name=name,
            person=Person(
                ssn=number,
                name=name,
                first_name=first.upper(),
                last_name=last.upper(),
                date_of_death=died.isoformat() if died else None,
                **address,
            ),
            date_of_birth=born,
            user_id=self._user_id(),
        )
        self._parties[party.uuid] = party
        self._profiles.append(ProfileFacts(party=party.uuid, preferences=preferences or Preferences(), contact=contact))
        if login:
            self._logins[party.uuid] = (about or {}, True)
        return party

    def organisation(
        self,
        name: str,
        unit_type: str = "AS",
        *,
        main_unit: NewParty | None = None,
        deleted: datetime | None = None,
        replaced_by: NewParty | None = None,
        status: str = "N",
        number: str | None = None,
    ) -> NewParty:
        """An organisation, or a sub-unit of `main_unit`; with a number of its own if one is given."""
        number = number or self._organisation_number()
        self._numbers.add(number)
        place, street = self.random.choice(PLACES), self.random.choice(STREETS)
        address = f"{street} {self.random.randint(1, 60)}"
        urn = f"urn:altinn:organization:identifier-no:{number}"
        host = "".join(c for c in name.lower() if c.isascii() and c.isalnum())
        party = NewParty(
            id=self._id(PartyType.ORGANISATION),
            uuid=_uuid(urn),
            type=PartyType.ORGANISATION,
            external_urn=urn,
            number=number,
            name=name.upper(),
            unit_type=unit_type,
            main_unit=main_unit.uuid if main_unit else None,
            replaced_by=replaced_by.uuid if replaced_by else None,
            organization=Organization(
                org_number=number,
                name=name.upper(),
                unit_type=unit_type,
                e_mail_address=f"post@{host}.example",
                internet_address=f"www.{host}.example",
                mailing_address=address,
                mailing_postal_code=place[2],
                mailing_postal_city=place[3],
                business_address=address,
                business_postal_code=place[2],
                business_postal_city=place[3],
                unit_status="S" if deleted else status,
            ),
            deleted_at=deleted,
        )
        self._parties[party.uuid] = party
        return party

    def self_identified(self, email: str) -> NewParty:
        """A user known by an e-mail address only."""
        identity = f"urn:altinn:person:idporten-email:{email.replace('@', '%40')}"
        party = NewParty(
            id=self._id(PartyType.PERSON),
            uuid=_uuid(identity),
            type=PartyType.SELF_IDENTIFIED,
            external_urn=identity,
            number=None,
            name=f"epost:{email}",
            email=email,
            user_id=self._user_id(),
            username=f"epost:{email}",
            external_identity=identity,
        )
        self._parties[party.uuid] = party
        self._profiles.append(ProfileFacts(party=party.uuid, contact=Contact(email=email)))
        return party

    def role(self, holder: NewParty, for_: NewParty, *codes: str, source: RoleSource = "ccr") -> None:
        """`holder` holds the roles for `for_`; somebody at the top also gets what goes with it."""
        self._roles += [NewRole(from_party=for_.uuid, to_party=holder.uuid, code=code, source=source) for code in codes]
        if holder.type is PartyType.PERSON and any(code in _TOP for code in codes):
            held = {(role.from_party, role.to_party, role.code) for role in self._roles}
            self._roles += [
                NewRole(from_party=for_.uuid, to_party=holder.uuid, code=code, source="altinn")
                for code in _OLD_ROLES
                if (for_.uuid, holder.uuid, code) not in held
            ]

    def done(self) -> Dataset:
        """The set."""
        return Dataset(
            name=self._name,
            parties=list(self._parties.values()),
            roles=self._roles,
            profiles=self._profiles,
            logins=[self._login(uuid_, about) for uuid_, (about, _) in self._logins.items()],
        )

    def _login(self, holder: str, about: dict[str, str]) -> Login:
        held: dict[str, list[str]] = {}
        for role in self._roles:
            if role.to_party == holder and role.code in ROLE_NAMES and role.code != "utinn":
                held.setdefault(role.from_party, []).append(ROLE_NAMES[role.code])
        party = self._parties[holder]
        assert party.person is not None
        assert party.number is not None
        return Login(
            pid=party.number,
            name=_display(party.person),
            about=about,
            # A page has room for some: whoever acts for hundreds is told as such.
            roles=[(self._parties[company].name, roles) for company, roles in list(held.items())[:5]],
        )

    def _id(self, type_: PartyType) -> int | None:
        if not self._ids:
            return None
        kind = PartyType.ORGANISATION if type_ is PartyType.ORGANISATION else PartyType.PERSON
        self._next[kind] += 1
        return self._next[kind]

    def _user_id(self) -> int:
        if not self._ids:
            return 0
        self._next_user += 1
        return self._next_user

    def _person_number(self, born: date, *, d_number: bool) -> str:
        # Serial numbers by century, until 2031; see the Tax Administration's rules.
        first, last = (0, 499) if born.year < 2000 else (500, 999)
        day = born.day + (40 if d_number else 0)
        while True:
            serial = self.random.randint(first, last)
            number = complete_person_number(f"{day:02}{born.month + 80}{born.year % 100:02}{serial:03}")
            if number is not None and number not in self._numbers:
                self._numbers.add(number)
                return number

    def _organisation_number(self) -> str:
        while True:
            number = complete_organisation_number(str(self.random.randint(31_000_000, 31_999_999)))
            if number is not None and number not in self._numbers:
                self._numbers.add(number)
                return number


def _display(person: Person) -> str:
    words = f"{person.first_name} {person.last_name}".split()
    return " ".join("-".join(piece.capitalize() for piece in word.split("-")) for word in words)


def _uuid(urn: str) -> str:
    """Stable: the same party gets the same uuid whenever it is made."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, urn))
