"""Roles between parties: their names, and which of them let a person act for an organisation.

The codes are those of the business register, as policies write them; each has a newer name as a URN.
"""

from __future__ import annotations

from collections.abc import Mapping

from havn.contracts.register import RoleSource

_CCR: Mapping[str, str] = {
    "dagl": "daglig-leder",
    "lede": "styreleder",
    "nest": "nestleder",
    "medl": "styremedlem",
    "vara": "varamedlem",
    "innh": "innehaver",
    "dtpr": "deltaker-delt-ansvar",
    "dtso": "deltaker-fullt-ansvar",
    "komp": "komplementar",
    "kont": "kontaktperson",
    "bobe": "bostyrer",
    "best": "bestyrende-reder",
    "repr": "norsk-representant",
    "knuf": "kontaktperson-nuf",
    "regn": "regnskapsforer",
    "revi": "revisor",
    "ffør": "forretningsforer",
    "sign": "signerer",
}

KEY_ROLES = ("dagl", "lede", "innh", "dtpr", "dtso", "bobe", "best", "komp")
"""Roles that let a person act for what others have given to the organisation."""

OWN_PERSON = ("priv", "urn:altinn:role:privatperson")
OWN_USER = ("seln", "urn:altinn:role:selvregistrert")
"""What everybody holds for themselves: a person, and a self-identified user."""


def role_urn(code: str, source: RoleSource) -> str | None:
    """The newer name of a role, or None for one that has none."""
    if source == "ccr" and code in _CCR:
        return f"urn:altinn:external-role:ccr:{_CCR[code]}"
    if source == "cra":
        return f"urn:altinn:external-role:cra:{code}"
    return None
