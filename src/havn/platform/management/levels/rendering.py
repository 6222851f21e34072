"""A report as CSV for a spreadsheet, and as a page for people: no script, headed tables, nothing by colour alone."""

from __future__ import annotations

import csv
import html
import io
from collections.abc import Sequence
from datetime import datetime

from havn.contracts.levels import Agreement, Maintenance, Measured, Report
from havn.engines.levels.periods import OSLO

_COLUMNS = (
    "agreement", "part", "org", "app", "version", "subscription", "valid", "good", "bad", "excluded", "refused",
    "probes", "probesBad", "planned", "availability", "availabilityTarget", "latencyMs", "backendShare",
    "gatewayShare", "totalShare", "latencyTarget", "budgetLeft", "badLeft", "kept", "query",
)  # fmt: skip


def as_csv(report: Report) -> str:
    """One row for each line of figures (RFC 4180), times and numbers as in the JSON, an empty cell for null."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for entry in report.entries:
        for part, rows in (
            ("whole", (entry.whole,)), ("version", entry.versions), ("subscription", entry.subscriptions),
        ):  # fmt: skip
            writer.writerows(_cells(row, part, entry.agreement) for row in rows)
    writer.writerows(_cells(row, "app", None) for row in report.apps)
    return out.getvalue()


def _cells(row: Measured, part: str, agreement: Agreement | None) -> list[str]:
    counts, targets = row.counts, agreement.targets if agreement is not None else None
    values = [
        agreement.id if agreement is not None else None, part, row.org, row.app, row.version, row.subscription,
        counts.valid, counts.good, counts.bad, counts.excluded, counts.refused, counts.probes, counts.probes_bad,
        row.planned.valid, row.availability, targets.availability if targets else None,
        targets.latency_ms if targets else None, row.backend_share, row.gateway_share, row.total_share,
        targets.latency_share if targets else None, row.budget_left, row.bad_left,
        None if row.kept is None else "yes" if row.kept else "no", row.query,
    ]  # fmt: skip
    return ["" if value is None else str(value) for value in values]


_T = {
    "title": ("Service levels", "Tjenestenivå", "Tenestenivå"),
    "running": ("The month is not over.", "Måneden er ikke over.", "Månaden er ikkje over."),
    "agreements": ("Agreements", "Avtaler", "Avtalar"),
    "none": ("There are no agreements.", "Det er ingen avtaler.", "Det er ingen avtalar."),
    "apps": ("All apps", "Alle tjenester", "Alle tenester"),
    "no_calls": ("Nothing was asked.", "Ingen forespørsler.", "Ingen førespurnader."),
    "maintenance": ("Maintenance", "Vedlikehold", "Vedlikehald"),
    "no_maintenance": ("There was none.", "Det var ikke noe.", "Det var ikkje noko."),
    "what": ("What", "Hva", "Kva"),
    "whole": ("All", "Alt", "Alt"),
    "version": ("version", "versjon", "versjon"),
    "subscription": ("subscription", "abonnement", "abonnement"),
    "valid": ("Valid requests", "Gyldige forespørsler", "Gyldige førespurnader"),
    "bad": ("Of these bad", "Av disse feilet", "Av desse feila"),
    "availability": ("Availability %", "Tilgjengelighet %", "Tilgjenge %"),
    "within": ("App within $ms ms %", "Tjenesten innen $ms ms %", "Tenesta innan $ms ms %"),
    "gateway": ("Gateway within $ms ms %", "Porten innen $ms ms %", "Porten innan $ms ms %"),
    "budget": ("Error budget left %", "Feilbudsjett igjen %", "Feilbudsjett att %"),
    "kept": ("Kept", "Holdt", "Halde"),
    "yes": ("yes", "ja", "ja"),
    "no": ("no", "nei", "nei"),
    "target": ("Target", "Mål", "Mål"),
    "burn": ("Burn rate, 1 h / 6 h / 3 d", "Forbrukstakt, 1 t / 6 t / 3 d", "Forbrukstakt, 1 t / 6 t / 3 d"),
    "excluded": ("Caller's faults", "Kallerens feil", "Feil hos kallaren"),
    "probes": ("Probes", "Prober", "Probar"),
    "planned": ("During maintenance", "Under vedlikehold", "Under vedlikehald"),
    "from": ("From", "Fra", "Frå"),
    "to": ("To", "Til", "Til"),
    "reason": ("Reason", "Grunn", "Grunn"),
    "counts": ("In the figures", "Med i tallene", "Med i tala"),
    "left_out": ("left out", "holdt utenfor", "halde utanfor"),
    "late": ("included: declared after it began", "med: meldt etter start", "med: meldt etter start"),
    "cancelled": ("ended early", "avsluttet tidlig", "avslutta tidleg"),
    "query": ("The query behind it", "Spørringen bak", "Spørjinga bak"),
    "none_value": ("–", "–", "–"),
    "also": ("The same as", "Det samme som", "Det same som"),
}  # fmt: skip
_INDEX = {"en": 0, "nb": 1, "nn": 2}

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem;color:#1e2b3c}"
    "table{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}"
    "th,td{padding:.35rem .7rem;border-bottom:1px solid #c5ccd3;text-align:right}th:first-child,td:first-child,"
    "td.text{text-align:left}caption{text-align:left;font-weight:600;padding:.35rem 0}a{color:#0b5cab}"
    "@media(prefers-color-scheme:dark){body{background:#12181f;color:#e6ebf0}a{color:#8cc2ff}th,td{border-color:#3a4653}}"
)


def as_page(report: Report, language: str) -> str:
    """A whole page in `language` (nb, nn or en)."""
    say = _Words(language)
    parts = [
        f"<h1>{say('title')}: {_text(report.org)}, {_text(report.month)}</h1>",
        "" if report.complete else f"<p>{say('running')}</p>",
        f'<p>{say("also")} <a href="{report.month}.csv">CSV</a>, <a href="{report.month}.json">JSON</a>.</p>',
        f"<h2>{say('agreements')}</h2>",
    ]
    if not report.entries:
        parts.append(f"<p>{say('none')}</p>")
    for entry in report.entries:
        targets = entry.agreement.targets
        aim = f"{_number(targets.availability, language)} %"
        if targets.latency_ms is not None:
            aim += f", {_number(targets.latency_share, language)} % ≤ {targets.latency_ms} ms"
        rates = " / ".join(
            _number(rate, language) for rate in (entry.burn.hour, entry.burn.six_hours, entry.burn.three_days)
        )
        rows = [(say("whole"), entry.whole)]
        rows += [(f"{say('version')} {_text(each.version or '–')}", each) for each in entry.versions]
        rows += [
            (f"{say('subscription')} {_text(each.subscription or '–')}", each) for each in entry.subscriptions
        ]  # fmt: skip
        parts.append(f"<h3>{_text(entry.agreement.id)} ({_text(entry.agreement.app)})</h3>")
        parts.append(f"<p>{say('target')}: {aim}. {say('burn')}: {rates}.</p>")
        parts.append(_table(_text(entry.agreement.id), rows, targets.latency_ms, say, language))
    parts.append(f"<h2>{say('apps')}</h2>")
    apps = [(_text(each.app or ""), each) for each in report.apps]
    parts.append(_table(say("apps"), apps, None, say, language) if apps else f"<p>{say('no_calls')}</p>")
    parts.append(f"<h2>{say('maintenance')}</h2>")
    parts.append(_maintenance(report.maintenance, say))
    title = f"{say('title')}: {_text(report.org)}, {_text(report.month)}"
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(parts)}</main></body></html>"
    )


class _Words:
    def __init__(self, language: str) -> None:
        self._index = _INDEX[language]

    def __call__(self, key: str, **values: object) -> str:
        text = _T[key][self._index]
        for name, value in values.items():
            text = text.replace(f"${name}", str(value))
        return html.escape(text)


def _table(
    caption: str, rows: Sequence[tuple[str, Measured]], latency_ms: int | None, say: _Words, language: str
) -> str:
    heads = [say("what"), say("valid"), say("bad"), say("availability")]
    if latency_ms is not None:
        heads += [say("within", ms=latency_ms), say("gateway", ms=latency_ms)]
    heads += [say("budget"), say("kept"), say("excluded"), say("probes"), say("planned"), say("query")]
    lines = []
    for name, row in rows:
        cells = [str(row.counts.valid), str(row.counts.bad), _number(row.availability, language)]
        if latency_ms is not None:
            cells += [_number(row.backend_share, language), _number(row.gateway_share, language)]
        kept = "–" if row.kept is None else say("yes") if row.kept else say("no")
        cells += [
            _number(row.budget_left, language), kept, str(row.counts.excluded), str(row.counts.probes),
            str(row.planned.valid), f'<a href="{_text(row.query)}" aria-label="{say("query")}: {name}">JSON</a>',
        ]  # fmt: skip
        lines.append(f'<tr><th scope="row">{name}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return _drawn(caption, head, lines)


def _maintenance(found: Sequence[Maintenance], say: _Words) -> str:
    if not found:
        return f"<p>{say('no_maintenance')}</p>"
    lines = []
    for each in found:
        counted = say("left_out") if each.in_advance else say("late")
        if each.cancelled is not None and each.cancelled < each.ends:
            counted += f", {say('cancelled')} {_time(each.cancelled)}"
        lines.append(
            f'<tr><th scope="row">{_text(each.app or "*")}</th><td>{_time(each.starts)}</td><td>{_time(each.ends)}</td>'
            f'<td class="text">{_text(each.reason)}</td><td class="text">{counted}</td></tr>'
        )
    heads = (say("what"), say("from"), say("to"), say("reason"), say("counts"))
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    return _drawn(say("maintenance"), head, lines)


def _drawn(caption: str, head: str, lines: Sequence[str]) -> str:
    return f"<table><caption>{caption}</caption><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _time(moment: datetime) -> str:
    local = moment.astimezone(OSLO)
    return f'<time datetime="{moment.isoformat()}">{local:%Y-%m-%d %H:%M}</time>'


def _number(value: float | None, language: str) -> str:
    if value is None:
        return "–"
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return text if language == "en" else text.replace(".", ",")


def _text(value: str) -> str:
    return html.escape(value)
