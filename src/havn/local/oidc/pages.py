"""The sign-in page: who to be, at which level, or cancel. Works without script, by keyboard, on a phone."""

from __future__ import annotations

import jinja2
import msgspec
from starlette.responses import HTMLResponse

from havn.kit import assets
from havn.local.oidc.provider import LEVELS
from havn.local.testdata.dataset import Login

LANGUAGES = {"nb": "Bokmål", "nn": "Nynorsk", "en": "English"}
SHOWN = 50

TEXTS = {
    "nb": {
        "title": "Velg testperson",
        "lead": "Alle her er oppdiktet. Innloggingen er ekte: samme flyt som hos en vanlig innloggingstjeneste.",
        "level": "Sikkerhetsnivå",
        "substantial": "Betydelig (nivå 3)",
        "high": "Høyt (nivå 4)",
        "search": "Søk etter navn, firma, rolle eller nummer",
        "search_button": "Søk",
        "people": "Testpersoner",
        "count": "{shown} av {total} vises",
        "none": "Ingen passer med søket.",
        "cancel": "Avbryt innloggingen",
        "language": "Språk",
        "for": "for",
        "error": "Innloggingen kan ikke begynne",
        "out": "Du er logget ut av testinnloggingen",
        "device": "Bekreft innlogging på en annen skjerm",
        "user_code": "Koden som vises der",
        "confirm": "Bekreft som",
        "confirm_button": "Bekreft",
        "refuse": "Avvis",
        "wrong": "Koden stemmer ikke, eller er for gammel. Begynn på nytt der.",
        "confirmed": "Innloggingen er bekreftet. Du kan lukke siden.",
        "refused": "Innloggingen er avvist. Du kan lukke siden.",
    },
    "nn": {
        "title": "Vel testperson",
        "lead": "Alle her er oppdikta. Innlogginga er ekte: same flyt som hos ei vanleg innloggingsteneste.",
        "level": "Tryggleiksnivå",
        "substantial": "Vesentleg (nivå 3)",
        "high": "Høgt (nivå 4)",
        "search": "Søk etter namn, firma, rolle eller nummer",
        "search_button": "Søk",
        "people": "Testpersonar",
        "count": "{shown} av {total} er viste",
        "none": "Ingen passar med søket.",
        "cancel": "Avbryt innlogginga",
        "language": "Språk",
        "for": "for",
        "error": "Innlogginga kan ikkje ta til",
        "out": "Du er logga ut av testinnlogginga",
        "device": "Stadfest innlogging på ein annan skjerm",
        "user_code": "Koden som er vist der",
        "confirm": "Stadfest som",
        "confirm_button": "Stadfest",
        "refuse": "Avvis",
        "wrong": "Koden stemmer ikkje, eller er for gammal. Ta til på nytt der.",
        "confirmed": "Innlogginga er stadfest. Du kan lukke sida.",
        "refused": "Innlogginga er avvist. Du kan lukke sida.",
    },
    "en": {
        "title": "Choose a test person",
        "lead": "Everybody here is made up. The sign-in is real: the same flow as with any identity provider.",
        "level": "Level of security",
        "substantial": "Substantial (level 3)",
        "high": "High (level 4)",
        "search": "Search by name, company, role or number",
        "search_button": "Search",
        "people": "Test persons",
        "count": "{shown} of {total} shown",
        "none": "Nobody matches the search.",
        "cancel": "Cancel sign-in",
        "language": "Language",
        "for": "for",
        "error": "The sign-in cannot begin",
        "out": "You are signed out of the test sign-in",
        "device": "Confirm a sign-in on another screen",
        "user_code": "The code that is shown there",
        "confirm": "Confirm as",
        "confirm_button": "Confirm",
        "refuse": "Refuse",
        "wrong": "The code is wrong, or too old. Begin again there.",
        "confirmed": "The sign-in is confirmed. You can close this page.",
        "refused": "The sign-in is refused. You can close this page.",
    },
}

_TEMPLATE = """<!doctype html>
<html lang="{{ language }}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ text.title }} - Havn</title>
{% if stylesheet %}<link rel="stylesheet" href="{{ stylesheet }}">{% endif %}
</head>
<body data-color-scheme="light">
<header class="hv-header"><div class="hv-header__in">
<span class="hv-brand"><span class="hv-brand__app">Havn</span></span>
{% if request %}
<nav aria-label="{{ text.language }}"><ul class="hv-langs">
{% for code, name in languages.items() %}
<li><a href="?request={{ request }}&amp;q={{ query|urlencode }}&amp;lang={{ code }}" lang="{{ code }}"
{%- if code == language %} aria-current="true"{% endif %}>{{ name }}</a></li>
{% endfor %}
</ul></nav>
{% endif %}
</div></header>
<main id="main">
<div class="hv-card hv-stack">
{% block content %}{% endblock %}
</div>
</main>
</body>
</html>
"""

_CHOOSE = """{% extends "frame" %}
{% block content %}
<h1 class="ds-heading" data-size="lg">{{ text.title }}</h1>
<p class="ds-paragraph">{{ text.lead }}</p>
<form method="get" action="/authorize/choose" role="search" class="hv-stack">
<input type="hidden" name="request" value="{{ request }}">
<input type="hidden" name="lang" value="{{ language }}">
<div class="ds-field">
<label class="ds-label" for="q">{{ text.search }}</label>
<input class="ds-input" type="search" id="q" name="q" value="{{ query }}" maxlength="100" autocomplete="off">
</div>
<button class="ds-button" data-variant="secondary" type="submit">{{ text.search_button }}</button>
</form>
<form method="post" action="/authorize" class="hv-stack">
<input type="hidden" name="request" value="{{ request }}">
<fieldset class="ds-fieldset">
<legend class="ds-label">{{ text.level }}</legend>
{% for value, label in levels %}
<div class="ds-field">
<input class="ds-input" type="radio" name="level" id="level-{{ loop.index }}" value="{{ value }}"
{%- if value == level %} checked{% endif %}>
<label class="ds-label" data-weight="regular" for="level-{{ loop.index }}">{{ label }}</label>
</div>
{% endfor %}
</fieldset>
<h2 class="ds-heading" data-size="sm" id="people">{{ text.people }}</h2>
<p class="hv-muted hv-small" role="status">
{%- if total %}{{ text.count.format(shown=people|length, total=total) }}{% else %}{{ text.none }}{% endif -%}
</p>
<ul class="hv-choices" aria-labelledby="people">
{% for person in people %}
<li><button class="hv-choice" type="submit" name="person" value="{{ person.pid }}">
<span><span class="hv-choice__name">{{ person.name }}</span>
{% if person.about.get(language) %}<span class="hv-muted"> - {{ person.about[language] }}</span>{% endif %}
{% for company, roles in person.roles %}
<br><span class="hv-small" lang="nb">{{ roles|join(", ") }} {{ text["for"] }} {{ company }}</span>
{% endfor %}</span>
<span class="hv-muted hv-small">{{ person.pid }}</span>
</button></li>
{% endfor %}
</ul>
<button class="ds-button" data-variant="tertiary" type="submit" name="cancel" value="yes">{{ text.cancel }}</button>
</form>
{% endblock %}
"""

_DEVICE = """{% extends "frame" %}
{% block content %}
<h1 class="ds-heading" data-size="lg">{{ title }}</h1>
{% if wrong %}<p class="ds-paragraph" role="alert">{{ text.wrong }}</p>{% endif %}
<form method="post" action="/device" class="hv-stack">
<div class="ds-field">
<label class="ds-label" for="user_code">{{ text.user_code }}</label>
<input class="ds-input" id="user_code" name="user_code" value="{{ code }}" maxlength="20" required autocomplete="off"
 autocapitalize="characters" spellcheck="false">
</div>
<div class="ds-field">
<label class="ds-label" for="person">{{ text.confirm }}</label>
<select class="ds-input" id="person" name="person">
{% for person in people %}<option value="{{ person.pid }}">{{ person.name }} ({{ person.pid }})</option>
{% endfor %}
</select>
</div>
<button class="ds-button" type="submit">{{ text.confirm_button }}</button>
<button class="ds-button" data-variant="tertiary" type="submit" name="cancel" value="yes" formnovalidate>
{{- text.refuse }}</button>
</form>
{% endblock %}
"""

_MESSAGE = """{% extends "frame" %}
{% block content %}
<h1 class="ds-heading" data-size="lg">{{ title }}</h1>
{% if detail %}<p class="ds-paragraph" lang="en">{{ detail }}</p>{% endif %}
{% endblock %}
"""

_ENVIRONMENT = jinja2.Environment(
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    loader=jinja2.DictLoader({"frame": _TEMPLATE, "choose": _CHOOSE, "device": _DEVICE, "message": _MESSAGE}),
)


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows."""

    request: str
    """The sealed request, sent back with the choice."""
    people: list[Login]
    total: int
    query: str
    level: str
    language: str


def choose(choice: Choice) -> HTMLResponse:
    """The page to choose on."""
    text = TEXTS[choice.language]
    return _respond(
        "choose",
        200,
        language=choice.language,
        request=choice.request,
        query=choice.query,
        people=choice.people,
        total=choice.total,
        level=choice.level,
        levels=[(LEVELS[0], text["substantial"]), (LEVELS[1], text["high"])],
    )


def device(code: str, people: list[Login], query: str, language: str, *, wrong: bool) -> HTMLResponse:
    """The page to confirm a sign-in on another screen."""
    return _respond(
        "device",
        400 if wrong else 200,
        language=language,
        request=None,
        query=query,
        title=TEXTS[language]["device"],
        code=code,
        people=people,
        wrong=wrong,
    )


def message(key: str, language: str, *, detail: str | None = None, status: int = 200) -> HTMLResponse:
    """A page that only says something."""
    return _respond(
        "message", status, language=language, request=None, query="", title=TEXTS[language][key], detail=detail
    )


def _respond(template: str, status: int, *, language: str, **values: object) -> HTMLResponse:
    try:
        stylesheet: str | None = assets.url("havn.css")
    except assets.AssetsNotBuilt:
        stylesheet = None
    html = _ENVIRONMENT.get_template(template).render(
        language=language, languages=LANGUAGES, text=TEXTS[language], stylesheet=stylesheet, **values
    )
    return HTMLResponse(
        html,
        status,
        headers={
            "Cache-Control": "no-store",
            # No form-action: browsers apply it to redirects too, and a choice goes on to the platform.
            "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; "
            "frame-ancestors 'none'",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )
