"""More test data from a seed: the same seed gives the same people and companies on every machine."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from havn.local.testdata.build import Builder
from havn.local.testdata.dataset import Dataset
from havn.local.testdata.names import ADJECTIVES, NOUNS, TRADES
from havn.platform.profile.store import Contact, Language, Preferences
from havn.platform.register.store import NewParty

_TYPES = (("AS", 70), ("ENK", 12), ("ANS", 4), ("FLI", 6), ("STI", 3), ("NUF", 3), ("ASA", 2))
_LAST_BIRTH = date(2024, 12, 31)


def name(seed: int, organisations: int) -> str:
    """What the set is called."""
    return f"seed-{seed}-{organisations}"


def dataset(seed: int, organisations: int, *, taken: Iterable[str] = ()) -> Dataset:
    """`organisations` organisations with leaders, boards, accountants and sub-units, and the people for them.

    About one person in twenty has no role, one in thirty is a child with a guardian. Numbers in `taken` are not made.
    """
    make = Builder(name(seed, organisations), seed, ids=False, taken=taken)
    dice = make.random
    firm = make.organisation(f"{dice.choice(ADJECTIVES)} {dice.choice(NOUNS)} Regnskap AS")
    auditor = make.organisation(f"{dice.choice(ADJECTIVES)} {dice.choice(NOUNS)} Revisjon AS")
    people = [_person(make) for _ in range(max(4, organisations * 2))]
    make.role(people[0], firm, "dagl")
    make.role(people[1], auditor, "dagl")
    types, weights = zip(*_TYPES, strict=True)
    for _ in range(organisations):
        unit_type = dice.choices(types, weights)[0]
        leader, chair, member = dice.sample(people, 3)
        struck = datetime(2025, 1, 1, tzinfo=UTC) if dice.random() < 0.03 else None
        called = f"{dice.choice(ADJECTIVES)} {dice.choice(NOUNS)}"
        company = make.organisation(
            called if unit_type == "ENK" else f"{called} {dice.choice(TRADES)} {unit_type}", unit_type, deleted=struck
        )
        if unit_type == "ENK":
            make.role(leader, company, "innh")
        elif unit_type == "ANS":
            make.role(leader, company, "dtso")
            make.role(chair, company, "dtso")
        else:
            make.role(leader, company, "dagl")
            make.role(chair, company, "lede")
            make.role(member, company, "medl")
        if dice.random() < 0.6:
            make.role(firm, company, "regn")
            make.role(people[0], company, "regna", source="altinn")
        if dice.random() < 0.3:
            make.role(auditor, company, "revi")
        for number in range(dice.choices((0, 1, 4), (60, 30, 10))[0]):
            make.organisation(f"{called} avd. {number + 1}", "BEDR", main_unit=company)
    return make.done()


def _person(make: Builder) -> NewParty:
    dice = make.random
    child = dice.random() < 0.033
    born = (
        _LAST_BIRTH - timedelta(days=dice.randint(0, 17 * 365))
        if child
        else date(1940, 1, 1) + timedelta(days=dice.randint(0, 66 * 365))
    )
    first, last = dice.choice(ADJECTIVES), dice.choice(NOUNS)
    contact = None if child or dice.random() < 0.1 else Contact(email=f"{_ascii(first)}.{_ascii(last)}@example.no")
    languages: tuple[Language, ...] = ("nb", "nn", "en")
    language = dice.choices(languages, (80, 15, 5))[0]
    person = make.person(
        first, last, born, d_number=dice.random() < 0.05, protected=dice.random() < 0.02, contact=contact,
        preferences=Preferences(language=language),
    )  # fmt: skip
    if child:
        guardian = make.person(dice.choice(ADJECTIVES), last, date(born.year - 30, 6, 15))
        make.role(guardian, person, "verge", source="cra")
    return person


def _ascii(text: str) -> str:
    plain = text.lower().replace("æ", "ae").replace("ø", "o").replace("å", "a")
    return "".join(c for c in plain if c.isascii() and c.isalnum())
