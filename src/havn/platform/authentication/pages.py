"""The few pages of sign-in and sign-out: a heading, what happened, and what to do next. They work without script."""

from __future__ import annotations

from collections.abc import Sequence

import jinja2
import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse

from havn.kit import assets

BASE = "/authentication"

_ENVIRONMENT = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
_PAGE = _ENVIRONMENT.from_string(
    """<!doctype html>
<html lang="{{ language }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
{% if stylesheet %}<link rel="stylesheet" href="{{ stylesheet }}">{% endif %}
</head>
<body data-color-scheme="light">
<main id="main">
<div class="hv-card hv-stack">
<h1 class="ds-heading" data-size="lg">{{ title }}</h1>
{% for line in lines %}<p class="ds-paragraph">{{ line }}</p>
{% endfor %}
{% if link %}<p><a class="ds-button" href="{{ link[0] }}">{{ link[1] }}</a></p>{% endif %}
{% if post %}<form method="post" action="{{ post[0] }}">
<button class="ds-button" type="submit">{{ post[1] }}</button></form>{% endif %}
{% if code %}<p class="hv-muted hv-small">{{ code }}</p>{% endif %}
</div>
</main>
</body>
</html>
"""
)

LANGUAGES = ("nb", "nn", "en")

TEXTS = {
    "cancelled": {
        "nb": ("Innloggingen ble avbrutt", "Du er ikke logget inn."),
        "nn": ("Innlogginga vart avbroten", "Du er ikkje logga inn."),
        "en": ("Sign-in was cancelled", "You are not signed in."),
    },
    "failed": {
        "nb": ("Innloggingen gikk ikke", "Prøv en gang til. Hvis det skjer igjen, kan du prøve senere."),
        "nn": ("Innlogginga gjekk ikkje", "Prøv ein gong til. Skjer det igjen, kan du prøve seinare."),
        "en": ("Sign-in did not work", "Try once more. If it happens again, try later."),
    },
    "goto": {
        "nb": ("Adressen er ikke en av våre", "Adressen du skulle videre til (goto) mangler eller hører ikke til her."),
        "nn": (
            "Adressa er ikkje ei av våre",
            "Adressa du skulle vidare til (goto) manglar eller høyrer ikkje til her.",
        ),
        "en": ("The address is not one of ours", "The address to go to (goto) is missing or does not belong here."),
    },
    "unknown_person": {
        "nb": ("Du er ikke registrert som bruker", "Innloggingen var riktig, men vi kjenner deg ikke her."),
        "nn": ("Du er ikkje registrert som brukar", "Innlogginga var rett, men vi kjenner deg ikkje her."),
        "en": ("You are not registered as a user", "You signed in correctly, but you are not known here."),
    },
    "level_too_low": {
        "nb": ("Innloggingen har for lavt sikkerhetsnivå", "Logg inn igjen, og velg et høyere nivå."),
        "nn": ("Innlogginga har for lågt tryggleiksnivå", "Logg inn igjen, og vel eit høgare nivå."),
        "en": ("The sign-in has too low a level of security", "Sign in again and choose a higher level."),
    },
    "away": {
        "nb": ("Innlogging virker ikke akkurat nå", "En del av tjenesten svarer ikke. Vent litt og prøv igjen."),
        "nn": ("Innlogging verkar ikkje akkurat no", "Ein del av tenesta svarar ikkje. Vent litt og prøv igjen."),
        "en": (
            "Sign-in does not work just now",
            "A part of the platform does not answer. Wait a little and try again.",
        ),
    },
    "loop": {
        "nb": (
            "Siden sender deg tilbake hit",
            "Du er logget inn, men nettleseren tar ikke vare på informasjonskapselen {cookie} fra {host}. "
            "Tillat informasjonskapsler for det nettstedet, og prøv igjen.",
        ),
        "nn": (
            "Sida sender deg tilbake hit",
            "Du er logga inn, men nettlesaren tek ikkje vare på informasjonskapselen {cookie} frå {host}. "
            "Tillat informasjonskapslar for den nettstaden, og prøv igjen.",
        ),
        "en": (
            "The page sends you back here",
            "You are signed in, but the browser does not keep the cookie {cookie} of {host}. "
            "Allow cookies for that site and try again.",
        ),
    },
    "confirm_logout": {
        "nb": ("Vil du logge ut?", "Du logges ut av alle skjemaer i denne nettleseren."),
        "nn": ("Vil du logge ut?", "Du vert logga ut av alle skjema i denne nettlesaren."),
        "en": ("Do you want to sign out?", "You will be signed out of all forms in this browser."),
    },
    "signed_out": {
        "nb": ("Du er logget ut", "Lukk nettleseren hvis andre bruker denne maskinen."),
        "nn": ("Du er logga ut", "Lukk nettlesaren om andre brukar denne maskina."),
        "en": ("You are signed out", "Close the browser if others use this machine."),
    },
}
BUTTONS = {
    "retry": {"nb": "Prøv igjen", "nn": "Prøv igjen", "en": "Try again"},
    "back": {"nb": "Til startsiden", "nn": "Til startsida", "en": "To the start page"},
    "sign_out": {"nb": "Logg ut", "nn": "Logg ut", "en": "Sign out"},
}


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What one page says: a key of `TEXTS`, its values, and at most one thing to do."""

    text: str
    values: dict[str, str] = {}
    link: tuple[str, str] | None = None
    """Address and a key of `BUTTONS`."""
    post: tuple[str, str] | None = None
    code: str | None = None
    """The stable code of a failure, for support."""


def render(request: Request, page: Page, status: int = 200) -> HTMLResponse:
    """The page in the language the browser prefers."""
    language = preferred_language(request.headers.get("accept-language", ""))
    title, *lines = TEXTS[page.text][language]
    link = (page.link[0], BUTTONS[page.link[1]][language]) if page.link else None
    post = (page.post[0], BUTTONS[page.post[1]][language]) if page.post else None
    try:
        stylesheet: str | None = assets.url("havn.css", BASE)
    except assets.AssetsNotBuilt:
        stylesheet = None
    html = _PAGE.render(
        language=language,
        title=title,
        lines=[line.format(**page.values) for line in lines],
        link=link,
        post=post,
        code=page.code,
        stylesheet=stylesheet,
    )
    return HTMLResponse(
        html,
        status,
        headers={
            "Cache-Control": "no-store",
            # No form-action: browsers apply it to redirects too, and sign-out goes on to other hosts.
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
            "frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )


def preferred_language(accept: str, offered: Sequence[str] = LANGUAGES) -> str:
    """The first of `offered` that an `Accept-Language` header names, by weight; bokmål for Norwegian and by default."""
    ranked: list[tuple[float, int, str]] = []
    for place, part in enumerate(accept.split(",")[:20]):
        tag, _, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        ranked.append((-quality, place, tag.strip().lower().partition("-")[0]))
    for quality, _, tag in sorted(ranked):
        language = "nb" if tag == "no" else tag
        if quality < 0 and language in offered:
            return language
    return "nb"
