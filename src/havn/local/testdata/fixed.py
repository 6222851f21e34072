"""The fixed set: the people and companies that documentation, stories and tests speak of by name.

Add at the end only: ids are given in order, and people remember them.
"""

from __future__ import annotations

import functools
from datetime import UTC, date, datetime

from havn.local.testdata.build import Builder
from havn.local.testdata.dataset import Dataset
from havn.local.testdata.names import ADJECTIVES, NOUNS, TRADES
from havn.platform.profile.store import Contact, Preferences

NAME = "fixed"
MANY = 500
SUB_UNITS = 300


@functools.cache
def dataset() -> Dataset:
    """The set; the same at every call and on every machine."""
    make = Builder(NAME, 20_261, ids=True)

    # Companies first, so that people below can be tied to them.
    lysende = make.organisation("Lysende Furu AS")
    ryddig = make.organisation("Ryddig Regnskap AS")
    streng = make.organisation("Streng Revisjon AS")
    vidstrakt = make.organisation("Vidstrakt Slette AS")
    enkel = make.organisation("Enkel Brygge", "ENK")
    delt = make.organisation("Delt Åre ANS", "ANS")
    forening = make.organisation("Blid Humle Idrettslag", "FLI")
    stiftelse = make.organisation("Varm Lykt Stiftelse", "STI")
    kommune = make.organisation("Fjordvik kommune", "KOMM", number="311000004")
    make.organisation("Testdepartementet", "ORGL", number="310000000")
    skole = make.organisation("Fjordvik skole", "ORGL", main_unit=None)
    utland = make.organisation("Distant Lighthouse Ltd NUF", "NUF")
    bo = make.organisation("Tomt Skall AS konkursbo", "KBO", status="K")
    slettet = make.organisation("Glemt Vik AS", deleted=datetime(2024, 6, 30, tzinfo=UTC))
    make.organisation("Sammenslått Elv AS", deleted=datetime(2025, 1, 1, tzinfo=UTC), replaced_by=lysende)
    make.organisation("Lysende Furu avd. Fjordvik", "BEDR", main_unit=lysende)
    for number in range(1, SUB_UNITS + 1):
        make.organisation(f"Vidstrakt Slette avd. {number}", "BEDR" if number % 10 else "AAFY", main_unit=vidstrakt)

    sindig = make.person(
        "Sindig", "Bjørk", date(1975, 3, 12),
        about={"nb": "daglig leder", "nn": "dagleg leiar", "en": "chief executive"},
        contact=Contact(email="sindig@example.no", phone_number="+4790000001"),
        preferences=Preferences(do_not_prompt_for_party=False),
    )  # fmt: skip
    ugle = make.person(
        "Nøyaktig", "Ugle", date(1982, 11, 3),
        about={"nb": "regnskapsfører", "nn": "rekneskapsførar", "en": "accountant"},
        contact=Contact(email="ugle@example.no", phone_number="+4790000002"),
    )  # fmt: skip
    make.person(
        "Stille", "Bekk", date(1990, 5, 17),
        about={"nb": "ingen roller", "nn": "ingen roller", "en": "no roles"},
        contact=Contact(email="stille@example.no", phone_number="+4790000003"),
    )  # fmt: skip
    maur = make.person(
        "Liten", "Maur", date(2014, 9, 1),
        about={"nb": "barn", "nn": "barn", "en": "child"},
    )  # fmt: skip
    bie = make.person(
        "Travel", "Bie", date(1968, 1, 30),
        about={
            "nb": f"regnskapsfører for {MANY} foretak",
            "nn": f"rekneskapsførar for {MANY} føretak",
            "en": f"accountant for {MANY} companies",
        },
        contact=Contact(email="travel@example.no", phone_number="+4790000005"),
    )  # fmt: skip
    falk = make.person(
        "Streng", "Falk", date(1971, 7, 7),
        about={"nb": "revisor", "nn": "revisor", "en": "auditor"},
        contact=Contact(email="falk@example.no"),
    )  # fmt: skip
    svale = make.person(
        "Reisende", "Svale", date(1995, 2, 20), d_number=True,
        about={"nb": "D-nummer, vil ha engelsk", "nn": "D-nummer, vil ha engelsk", "en": "D-number, prefers English"},
        contact=Contact(email="svale@example.no"), preferences=Preferences(language="en"),
    )  # fmt: skip
    oesters = make.person(
        "Taus", "Østers", date(1949, 12, 24),
        about={"nb": "reservert, ingen kontaktdata", "nn": "reservert, ingen kontaktdata", "en": "reserved"},
        contact=Contact(is_reserved=True),
    )  # fmt: skip
    make.person(
        "Skjult", "Hule", date(1987, 8, 8), protected=True,
        about={"nb": "sperret adresse", "nn": "sperra adresse", "en": "protected address"},
    )  # fmt: skip
    make.person("Gammel", "Eik", date(1931, 4, 4), died=date(2023, 10, 2), login=False)
    to_navn = make.person(
        "Glad", "Ødegård-Bråten Åsmo", date(1979, 6, 21),
        about={"nb": "to etternavn, nynorsk", "nn": "to etternamn, nynorsk", "en": "two last names, Nynorsk"},
        contact=Contact(email="glad@example.no"), preferences=Preferences(language="nn"),
    )  # fmt: skip
    make.person(
        "Blid", "Šköda", date(2001, 2, 28),
        about={"nb": "navn med š og ö", "nn": "namn med š og ö", "en": "a name with š and ö"},
    )  # fmt: skip
    make.person(
        "Rund", "Å", date(1966, 10, 10),
        about={"nb": "etternavn på én bokstav", "nn": "etternamn på éin bokstav", "en": "a last name of one letter"},
    )  # fmt: skip
    make.person(
        "Glemsom", "Trost", date(1959, 3, 3),
        about={"nb": "har forvalgt en slettet virksomhet", "nn": "har førevalt ei sletta verksemd",
               "en": "has chosen a deleted company"},
        preferences=Preferences(preselected_party_uuid=slettet.uuid),
    )  # fmt: skip
    brygge = make.person(
        "Ivrig", "Brygge", date(1992, 12, 12),
        about={"nb": "enkeltpersonforetak", "nn": "enkeltpersonføretak", "en": "sole proprietor"},
        contact=Contact(email="ivrig@example.no"), preferences=Preferences(do_not_prompt_for_party=True),
    )  # fmt: skip
    stolt = make.person(
        "Stolt", "Elg", date(1963, 9, 9),
        about={"nb": "sitter i flere styrer", "nn": "sit i fleire styre", "en": "sits on several boards"},
        contact=Contact(email="stolt@example.no"),
    )  # fmt: skip
    klok = make.person(
        "Klok", "Krabbe", date(1977, 5, 5),
        about={"nb": "bostyrer", "nn": "bustyrar", "en": "administers an estate"},
        contact=Contact(email="klok@example.no"),
    )  # fmt: skip
    make.self_identified("selv@example.no")

    make.role(sindig, lysende, "dagl", "medl")
    make.role(sindig, maur, "verge", source="cra")
    make.role(stolt, lysende, "lede")
    make.role(svale, lysende, "medl")
    make.role(ryddig, lysende, "regn")
    make.role(streng, lysende, "revi")
    make.role(ugle, lysende, "regna", source="altinn")
    make.role(ugle, ryddig, "dagl")
    make.role(bie, ryddig, "medl")
    make.role(falk, streng, "dagl")
    make.role(falk, lysende, "revi")
    make.role(stolt, vidstrakt, "dagl")
    make.role(sindig, vidstrakt, "vara")
    make.role(brygge, enkel, "innh")
    make.role(stolt, delt, "dtso")
    make.role(to_navn, delt, "dtso")
    make.role(to_navn, forening, "lede")
    make.role(svale, forening, "nest")
    make.role(to_navn, stiftelse, "dagl")
    make.role(to_navn, kommune, "dagl")
    make.role(kommune, skole, "ffør")
    make.role(svale, utland, "dagl")
    make.role(klok, bo, "bobe")
    make.role(oesters, slettet, "dagl")

    for number in range(MANY):
        # Two words and a trade give more names than are needed.
        adjective, noun = ADJECTIVES[number % len(ADJECTIVES)], NOUNS[(number * 7) % len(NOUNS)]
        client = make.organisation(f"{adjective} {noun} {TRADES[number % len(TRADES)]} AS")
        make.role(bie, client, "regna", source="altinn")
    return make.done()
