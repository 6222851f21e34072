"""What the gateway itself answers: a page for a person, a problem document for a program, in the reader's language."""

from __future__ import annotations

import html
from datetime import datetime
from http import HTTPStatus
from string import Template
from zoneinfo import ZoneInfo

import msgspec

_TEXTS = {
    "unknown_host": {
        "en": ("No such address", "Nothing is published at $host."),
        "nb": ("Adressen finnes ikke", "Ingenting er publisert på $host."),
        "nn": ("Adressa finst ikkje", "Ingenting er publisert på $host."),
    },
    "unknown_app": {
        "en": ("No such service", "There is no service at this address on $host. Check the link you followed."),
        "nb": ("Tjenesten finnes ikke", "Det er ingen tjeneste på denne adressen hos $host. Sjekk lenken du fulgte."),
        "nn": ("Tenesta finst ikkje", "Det er inga teneste på denne adressa hos $host. Sjekk lenkja du følgde."),
    },
    "unknown_address": {
        "en": ("No such page", "There is nothing at this address on $host. Check the link you followed."),
        "nb": ("Siden finnes ikke", "Det er ingenting på denne adressen hos $host. Sjekk lenken du fulgte."),
        "nn": ("Sida finst ikkje", "Det er ingenting på denne adressa hos $host. Sjekk lenkja du følgde."),
    },
    "not_running": {
        "en": ("Not running just now", "$name is not running just now. Try again in a moment."),
        "nb": ("Kjører ikke akkurat nå", "$name kjører ikke akkurat nå. Prøv igjen om litt."),
        "nn": ("Køyrer ikkje akkurat no", "$name køyrer ikkje akkurat no. Prøv igjen om litt."),
    },
    "broke_off": {
        "en": ("No answer", "$name broke off. It is not known whether your request was carried out."),
        "nb": ("Fikk ikke svar", "$name brøt forbindelsen. Det er ukjent om forespørselen ble utført."),
        "nn": ("Fekk ikkje svar", "$name braut sambandet. Det er ukjent om førespurnaden vart utført."),
    },
    "too_late": {
        "en": ("No answer in time", "$name did not answer in time."),
        "nb": ("Fikk ikke svar i tide", "$name svarte ikke i tide."),
        "nn": ("Fekk ikkje svar i tide", "$name svara ikkje i tide."),
    },
    "maintenance": {
        "en": ("Down for maintenance", "$name is down for maintenance. $until"),
        "nb": ("Vedlikehold", "$name er stengt for vedlikehold. $until"),
        "nn": ("Vedlikehald", "$name er stengd for vedlikehald. $until"),
    },
    "too_many": {
        "en": ("Too many requests", "Your network sends too many requests just now. Try again in a moment."),
        "nb": ("For mange forespørsler", "Nettet ditt sender for mange forespørsler nå. Prøv igjen om litt."),
        "nn": ("For mange førespurnader", "Nettet ditt sender for mange førespurnader no. Prøv igjen om litt."),
    },
    "busy": {
        "en": ("Very busy just now", "There is more to do here than we manage just now. Try again in a moment."),
        "nb": ("Stor pågang", "Det er større pågang enn vi klarer akkurat nå. Prøv igjen om litt."),
        "nn": ("Stor pågang", "Det er større pågang enn vi klarer akkurat no. Prøv igjen om litt."),
    },
    "blocked": {
        "en": ("Blocked for now", "Your network is blocked for now. Ask the service owner if this is wrong."),
        "nb": ("Sperret inntil videre", "Nettet ditt er sperret inntil videre. Spør tjenesteeieren om det er feil."),
        "nn": ("Sperra inntil vidare", "Nettet ditt er sperra inntil vidare. Spør tenesteeigaren om det er feil."),
    },
    "refused": {
        "en": ("The request was refused", "$detail"),
        "nb": ("Forespørselen ble avvist", "$detail"),
        "nn": ("Førespurnaden vart avvist", "$detail"),
    },
}  # fmt: skip

_UNTIL = {
    "en": ("It is expected back $when.", "Try again later."),
    "nb": ("Den er ventet tilbake $when.", "Prøv igjen senere."),
    "nn": ("Ho er venta tilbake $when.", "Prøv igjen seinare."),
}
_OSLO = ZoneInfo("Europe/Oslo")

_PAGE = Template(
    '<!doctype html><html lang="$lang"><head><meta charset="utf-8"><title>$title</title>'
    '<meta name="viewport" content="width=device-width,initial-scale=1">'
    "<style>body{font:1.125rem/1.6 system-ui,sans-serif;max-width:36rem;margin:4rem auto;padding:0 1rem;"
    "color:#1e2b3c}h1{font-size:1.75rem}p.code{color:#5c6673;font-size:.9rem}"
    "@media(prefers-color-scheme:dark){body{background:#12181f;color:#e6ebf0}p.code{color:#a9b3be}}</style></head>"
    '<body><main><h1>$title</h1><p>$text</p><p class="code">$status</p></main></body></html>'
)


def page(
    status: int,
    code: str,
    *,
    accept: bytes = b"",
    languages: bytes = b"",
    retry_after: int = 2,
    until: datetime | None = None,
    message: str = "",
    **words: str,
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The body and header fields for `code` (a key of the texts), as HTML if the client asks for that.

    `retry_after` is sent in seconds with 429 and 503; `until` and `message` are told where the text is about them.
    """
    lang = _language(languages)
    phrase = HTTPStatus(status).phrase
    fields = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]
    if status in (429, 503):
        fields.append((b"retry-after", b"%d" % retry_after))
    if b"text/html" in accept.lower():
        title, text = _TEXTS[code][lang]
        body = _PAGE.substitute(
            lang=lang,
            title=html.escape(title),
            text=html.escape(Template(text).substitute(words, until=_back(until, lang)))
            + (f"</p><p>{html.escape(message)}" if message else ""),
            status=f"{status} {phrase}",
        ).encode()
        fields += [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
        ]
    else:
        detail = Template(_TEXTS[code]["en"][1]).substitute(words, until=_back(until, "en"))
        problem = {"type": "about:blank", "title": phrase, "status": status, "detail": detail, "code": code}
        if until is not None:
            problem["until"] = until
        if message:
            problem["message"] = message
        body = msgspec.json.encode(problem)
        fields.append((b"content-type", b"application/problem+json"))
    fields.append((b"content-length", b"%d" % len(body)))
    return body, fields


def _back(until: datetime | None, lang: str) -> str:
    known, unknown = _UNTIL[lang]
    if until is None:
        return unknown
    return Template(known).substitute(when=f"{until.astimezone(_OSLO):%d.%m.%Y %H:%M}")


def _language(header: bytes) -> str:
    """The first of nb, nn and en that Accept-Language names (`no` means nb); nb when it names none."""
    for part in header.lower().decode("latin-1").split(","):
        tag = part.partition(";")[0].strip().partition("-")[0]
        if tag in ("nb", "nn", "en"):
            return tag
        if tag == "no":
            return "nb"
    return "nb"
