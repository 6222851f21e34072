"""How strongly a person has signed in: the provider's `acr` and `amr` as a level and a method."""

from __future__ import annotations

from collections.abc import Sequence

from havn.kit.problem import Problem

_LEVELS = {
    "level1": 1,
    "level2": 2,
    "level3": 3,
    "idporten-loa-substantial": 3,
    "level4": 4,
    "idporten-loa-high": 4,
}
EMAIL_ACR = "selfregistered-email"
_ASKABLE = frozenset({EMAIL_ACR, "idporten-loa-substantial", "idporten-loa-high", "level0", "level1", "level2"})

_METHODS = {
    "minid-pin": "MinIDPin",
    "minid-otc": "MinIDOTC",
    "minid-app": "MinIDApp",
    "bankid": "BankID",
    "bankid mobil": "BankIDMobil",
    "buypass": "BuyPass",
    "eidas": "EIDAS",
    "testid": "IdportenTestId",
    "selfregistered-email": "IdportenEpost",
}


def level_of(acr: str | None) -> int:
    """The level, 0 to 4, of a provider's `acr`; 0 for one that is not known."""
    return _LEVELS.get(acr or "", 0)


def method_of(amr: Sequence[str]) -> str:
    """The value of `urn:altinn:authenticatemethod` for the first of `amr`."""
    return _METHODS.get(amr[0].lower(), "NotDefined") if amr else "NotDefined"


def parse_acr_values(text: str | None) -> list[str]:
    """The levels asked for; 400 for one that cannot be asked for."""
    values = (text or "").split()
    if len(values) > 10 or any(value not in _ASKABLE for value in values):
        raise Problem(400, "Invalid acr_values.", code="invalid_acr_values")
    return values


def required_level(acr_values: Sequence[str]) -> int:
    """The lowest level that meets any of the values; 0 when none is asked for."""
    return min((level_of(value) for value in acr_values), default=0)
