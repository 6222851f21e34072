"""Words that names are made of: adjective and noun, as synthetic persons in Norway are named; and places."""

from __future__ import annotations

ADJECTIVES = (
    "Lys", "Rask", "Stille", "Glad", "Klok", "Modig", "Mild", "Ærlig", "Åpen", "Øm", "Blid", "Frisk", "Kvikk", "Rolig",
    "Sindig", "Snill", "Sterk", "Stolt", "Trygg", "Varm", "Vennlig", "Vis", "Våken", "Yr", "Fin", "Fri", "Gul", "Grønn",
    "Blå", "Lun", "Myk", "Nett", "Ny", "Rund", "Sen", "Skarp", "Smal", "Spent", "Tørr", "Vid", "Viktig", "Ivrig",
)  # fmt: skip
NOUNS = (
    "Bjørk", "Furu", "Gran", "Eik", "Lønn", "Rogn", "Selje", "Bekk", "Elv", "Foss", "Fjord", "Sjø", "Øy", "Ås", "Haug",
    "Fjell", "Dal", "Li", "Eng", "Mark", "Lyng", "Mose", "Tyttebær", "Molte", "Ugle", "Falk", "Svale", "Ørn", "Trost",
    "Meis", "Rype", "Rev", "Gaupe", "Elg", "Hjort", "Bie", "Maur", "Humle", "Laks", "Sild", "Østers", "Krabbe", "Stein",
    "Skifer", "Båt", "Åre", "Brygge", "Lykt", "Vind", "Sky", "Regn", "Snø", "Is", "Måne", "Stjerne",
)  # fmt: skip
PLACES = (
    ("0301", "Oslo", "0171", "OSLO"),
    ("1103", "Stavanger", "4006", "STAVANGER"),
    ("1508", "Ålesund", "6003", "ÅLESUND"),
    ("4601", "Bergen", "5014", "BERGEN"),
    ("4640", "Sogndal", "6856", "SOGNDAL"),
    ("5001", "Trondheim", "7011", "TRONDHEIM"),
    ("5501", "Tromsø", "9008", "TROMSØ"),
    ("5610", "Karasjok", "9730", "KARASJOK"),
)
STREETS = ("Storgata", "Kirkegata", "Skoleveien", "Bjørkelia", "Sjøgata", "Furuveien", "Øvre Elvegate", "Ringveien")
TRADES = ("Bygg", "Bakeri", "Transport", "Gartneri", "Verksted", "Fisk", "Kafé", "Elektro", "Mekaniske", "Utleie")
