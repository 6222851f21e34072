"""The role codes there are."""

from __future__ import annotations

KNOWN_ROLES = frozenset(
    {
        "bedr", "best", "bobe", "dagl", "dtpr", "dtso", "ffør", "innh", "knuf", "komp", "kont", "lede", "medl",
        "nest", "priv", "regn", "repr", "revi", "seln", "sign", "vara", "a0212", "a0236", "a0237", "a0238",
        "a0239", "a0240", "a0241", "a0278", "a0282", "a0286", "a0293", "a0294", "a0298", "admai", "apiadm",
        "apiadmnuf", "attst", "boadm", "bobel", "ektj", "hadm", "hvask", "kladm", "komab", "loper", "pasig",
        "pavad", "priut", "regna", "sam", "signe", "siskd", "uihtl", "uiluf", "utinn", "utomr"
    }
)  # fmt: skip
"""Role codes that registers give out or that can be delegated; compared without case."""
