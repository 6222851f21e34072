"""The fee for a building application in Fjordvik: worked out each time an answer changes."""

from __future__ import annotations

from typing import Any

from havn.runtime.hooks import WriteContext, write_data

# Norwegian kroner, by the municipality's fee regulation.
BASIC = {"enebolig": 24_800, "tilbygg": 9_600, "garasje": 7_400, "fasade": 4_900, "riving": 3_700}
PER_SQUARE_METRE = {"enebolig": 62, "tilbygg": 48, "garasje": 24, "riving": 9}
DISPENSATION = 11_200
RESPONSIBILITY = 2_150
ONE_STEP_DISCOUNT = 0.15


@write_data("gebyr")
def fee(ctx: WriteContext, model: dict[str, Any], previous: dict[str, Any]) -> None:
    """List what the fee is made of, and add it up. Without enough answers there is no fee."""
    kind, area = model.get("tiltak"), model.get("areal")
    extras = (model.get("tillegg") or "").split(",")
    if kind not in BASIC or (kind in PER_SQUARE_METRE and not area):
        model.pop("linjer", None)
        model.pop("sum", None)
        return
    lines = [("linje.grunn", BASIC[kind])]
    if kind in PER_SQUARE_METRE:
        lines.append(("linje.areal", round(area * PER_SQUARE_METRE[kind])))
    if "ettrinn" in extras:
        lines.append(("linje.ettrinn", -round(sum(amount for _, amount in lines) * ONE_STEP_DISCOUNT)))
    if "dispensasjon" in extras:
        lines.append(("linje.dispensasjon", DISPENSATION * (model.get("dispensasjoner") or 1)))
    if "ansvarsrett" in extras:
        lines.append(("linje.ansvarsrett", RESPONSIBILITY))
    kept = model.get("linjer") or []
    model["linjer"] = [
        {**(kept[number] if number < len(kept) else {}), "tekst": text, "belop": amount}
        for number, (text, amount) in enumerate(lines)
    ]
    model["sum"] = sum(amount for _, amount in lines)
