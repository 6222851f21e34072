"""Grants in Fjordvik: sums, the highest grant, checks that need arithmetic, and the districts one may choose."""

from __future__ import annotations

from typing import Any

from havn.runtime.hooks import (
    CreateContext,
    InstanceContext,
    Issue,
    Option,
    OptionsContext,
    WriteContext,
    create_data,
    error,
    options,
    validate_form,
    validate_task,
    warning,
    write_data,
)

HIGHEST = {"aktivitet": 150_000, "arrangement": 75_000, "utstyr": 50_000}
SHARE = 0.7
"""The part of the expenses that a grant may cover."""
DISTRICTS = {"sentrum": "Sentrum", "nes": "Neset", "indre": "Indre Fjordvik", "ytre": "Ytre Fjordvik", "oyene": "Øyene"}


@create_data("soknad")
def who(ctx: CreateContext, model: dict[str, Any]) -> None:
    """An organisation applies as a club."""
    if ctx.instance.instance_owner.organisation_number:
        model.setdefault("soker", {})["type"] = "lag"


@write_data("soknad")
def sums(ctx: WriteContext, model: dict[str, Any], previous: dict[str, Any]) -> None:
    """Add up expenses and income; the grant covers what is missing, up to a share and a ceiling."""
    money = model.setdefault("okonomi", {})
    money["sumUtgifter"] = sum(row.get("belop") or 0 for row in money.get("utgifter") or [])
    money["sumInntekter"] = sum(row.get("belop") or 0 for row in money.get("inntekter") or [])
    money["underskudd"] = max(0, money["sumUtgifter"] - money["sumInntekter"])
    ceiling = HIGHEST.get((model.get("tiltak") or {}).get("ordning", ""), max(HIGHEST.values()))
    money["hoyesteTilskudd"] = min(ceiling, money["underskudd"], round(money["sumUtgifter"] * SHARE))


@validate_form("soknad", name="tilskudd", fields=["okonomi", "soker.lag.orgnr", "tiltak.ordning"])
def amounts(ctx: InstanceContext, model: dict[str, Any]) -> list[Issue]:
    """The amount applied for fits the budget, and the numbers have right check digits."""
    issues = []
    money = model.get("okonomi") or {}
    wanted, highest = money.get("soknadsbelop"), money.get("hoyesteTilskudd") or 0
    if wanted and wanted > highest:
        issues.append(error("okonomi.soknadsbelop", "feil.for-mye", highest=f"{highest:,}".replace(",", "\u00a0")))
    if money.get("sumUtgifter") and money.get("underskudd") == 0:
        issues.append(warning("okonomi.inntekter", "advarsel.overskudd"))
    account = money.get("kontonummer")
    if account and not _mod11(account, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)):
        issues.append(error("okonomi.kontonummer", "feil.konto"))
    number = ((model.get("soker") or {}).get("lag") or {}).get("orgnr")
    if number and not _mod11(number, (3, 2, 7, 6, 5, 4, 3, 2)):
        issues.append(error("soker.lag.orgnr", "feil.orgnr"))
    return issues


@validate_task("Task_1", name="vedtekter")
async def statutes(ctx: InstanceContext) -> list[Issue]:
    """A club attaches its statutes; a group that is not registered has none."""
    model = await ctx.data.model("soknad", dict)
    club = (model.get("soker") or {}).get("type") == "lag"
    attached = any(element.data_type == "vedtekter" for element in ctx.data.elements)
    return [error("vedtekter", "feil.vedtekter")] if club and not attached else []


@options("bydeler")
def districts(ctx: OptionsContext) -> list[Option]:
    """The districts of the municipality; later perhaps from a register."""
    return [Option(value=value, label=label) for value, label in DISTRICTS.items()]


def _mod11(number: str, weights: tuple[int, ...]) -> bool:
    """Whether the last digit is the check digit of those before it, modulo 11."""
    if not number.isdecimal() or len(number) != len(weights) + 1:
        return False
    rest = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False)) % 11
    return int(number[-1]) == (11 - rest) % 11
