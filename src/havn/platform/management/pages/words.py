"""What the pages say: every sentence in bokmål, nynorsk and English, and limits in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from havn.contracts.management import Match, PlanTerms

LANGUAGES = ("nb", "nn", "en")
NAMES = {"nb": "Bokmål", "nn": "Nynorsk", "en": "English"}
_OSLO = ZoneInfo("Europe/Oslo")

WORDS: Mapping[str, tuple[str, str, str]] = {
    "site": ("API-katalogen", "API-katalogen", "API catalogue"),
    "skip": ("Hopp til innholdet", "Hopp til innhaldet", "Skip to content"),
    "language": ("Språk", "Språk", "Language"),
    "menu": ("Meny", "Meny", "Menu"),
    "sign_in": ("Logg inn", "Logg inn", "Sign in"),
    "sign_out": ("Logg ut", "Logg ut", "Sign out"),
    "mine": ("Mine tilganger", "Tilgangane mine", "My access"),
    "offered": ("API-er jeg tilbyr", "API-ar eg tilbyr", "APIs I offer"),
    "levels": (
        "Tjenestenivået for {org} i {month}",
        "Tenestenivået for {org} i {month}",
        "Service levels of {org} in {month}",
    ),
    "catalogue_lead": (
        "API-er du kan bruke fra ditt eget fagsystem.",
        "API-ar du kan bruke frå ditt eige fagsystem.",
        "APIs that you can use from a system of your own.",
    ),
    "search": ("Søk", "Søk", "Search"),
    "search_label": ("Søk etter API eller eier", "Søk etter API eller eigar", "Search for an API or its owner"),
    "hits": ("{n} API-er", "{n} API-ar", "{n} APIs"),
    "hit": ("1 API", "1 API", "1 API"),
    "no_hits": ("Ingen API-er passer med søket.", "Ingen API-ar passar med søket.", "No API matches the search."),
    "version": ("Versjon", "Versjon", "Version"),
    "owner": ("Eier", "Eigar", "Owner"),
    "address": ("Adresse", "Adresse", "Address"),
    "contact": ("Kontakt", "Kontakt", "Contact"),
    "documentation": ("Dokumentasjon", "Dokumentasjon", "Documentation"),
    "openapi": ("OpenAPI-beskrivelse", "OpenAPI-skildring", "OpenAPI description"),
    "access": ("Tilgang", "Tilgang", "Access"),
    "access_key": (
        "Nøkkel i hodefeltet X-Api-Key",
        "Nøkkel i hovudfeltet X-Api-Key",
        "A key in the header X-Api-Key",
    ),
    "access_open": ("Åpen for alle", "Open for alle", "Open to all"),
    "deprecated": ("Utfases", "Vert fasa ut", "Being phased out"),
    "deprecated_body": (
        "Ikke ta denne versjonen i bruk. Utfases fra {date}.",
        "Ikkje ta denne versjonen i bruk. Vert fasa ut frå {date}.",
        "Do not take this version into use. Being phased out from {date}.",
    ),
    "sunset_body": (
        "Den slutter å svare {date}.",
        "Han sluttar å svare {date}.",
        "It stops answering on {date}.",
    ),
    "successor": ("Bruk heller", "Bruk heller", "Use instead"),
    "retired": ("Avsluttet", "Avslutta", "Ended"),
    "retired_body": (
        "Denne versjonen svarer ikke lenger.",
        "Denne versjonen svarar ikkje lenger.",
        "This version no longer answers.",
    ),
    "versions": ("Andre versjoner", "Andre versjonar", "Other versions"),
    "plans": ("Planer", "Planar", "Plans"),
    "no_plans": ("Ingen planer kan bestilles nå.", "Ingen planar kan tingast no.", "No plan can be asked for now."),
    "auto": ("Gis med en gang", "Vert gitt med ein gong", "Given at once"),
    "manual": ("Eieren svarer på søknaden", "Eigaren svarar på søknaden", "The owner answers the request"),
    "unlimited": ("Ingen grenser", "Ingen grenser", "No limits"),
    "lasts": ("Varer i {days} dager", "Varer i {days} dagar", "Lasts {days} days"),
    "observed": (
        "Grensene prøves ut: kall over dem teller, men avvises ikke.",
        "Grensene vert prøvde ut: kall over dei tel, men vert ikkje avviste.",
        "The limits are on trial: calls over them are counted, not refused.",
    ),
    "excluded": ("Teller ikke: {what}", "Tel ikkje: {what}", "Not counted: {what}"),
    "covers": ("Gjelder bare: {what}", "Gjeld berre: {what}", "Only for: {what}"),
    "ask": ("Be om tilgang", "Be om tilgang", "Ask for access"),
    "ask_for": ("Be om planen {plan}", "Be om planen {plan}", "Ask for the plan {plan}"),
    "calls": ("Kall", "Kall", "Calls"),
    "calls_away": (
        "Appen gir ingen beskrivelse akkurat nå.",
        "Appen gjev inga skildring akkurat no.",
        "The app gives no description just now.",
    ),
    "parameter": ("Parameter", "Parameter", "Parameter"),
    "place": ("Hvor", "Kvar", "Where"),
    "type": ("Type", "Type", "Type"),
    "required": ("påkrevd", "påkravd", "required"),
    "body": ("Innhold", "Innhald", "Body"),
    "answers": ("Svar", "Svar", "Answers"),
    "organisation": ("Virksomhet", "Verksemd", "Organisation"),
    "no_organisations": (
        "Du kan ikke handle for noen virksomhet her. Daglig leder, styreleder, innehaver, hovedadministrator og "
        "API-administrator kan.",
        "Du kan ikkje handle for noka verksemd her. Dagleg leiar, styreleiar, innehavar, hovudadministrator og "
        "API-administrator kan.",
        "You cannot act for any organisation here. A chief executive, chair, proprietor, main administrator or API "
        "administrator can.",
    ),
    "application": ("System", "System", "System"),
    "existing": ("Eksisterende system", "Eksisterande system", "Existing system"),
    "another_organisation": ("Velg en annen", "Vel ei anna", "Choose another"),
    "another": ("Nytt system", "Nytt system", "New system"),
    "application_name": ("Navn på systemet", "Namn på systemet", "Name of the system"),
    "application_contact": (
        "E-post til dem som drifter det",
        "E-post til dei som driftar det",
        "E-mail of those who run it",
    ),
    "purpose": ("Hva skal det brukes til?", "Kva skal det brukast til?", "What will it be used for?"),
    "send": ("Send søknaden", "Send søknaden", "Send the request"),
    "continue": ("Fortsett", "Hald fram", "Continue"),
    "problem": ("Det er en feil i skjemaet", "Det er ein feil i skjemaet", "There is a mistake in the form"),
    "wants_name": ("Skriv et navn på systemet.", "Skriv eit namn på systemet.", "Write a name for the system."),
    "wants_organisation": ("Velg en virksomhet.", "Vel ei verksemd.", "Choose an organisation."),
    "name_taken": (
        "Virksomheten har et system med dette navnet.",
        "Verksemda har eit system med dette namnet.",
        "The organisation has a system of this name.",
    ),
    "has_plan": (
        "Systemet har planen allerede, eller venter på svar.",
        "Systemet har planen alt, eller ventar på svar.",
        "The system has the plan already, or awaits an answer.",
    ),
    "plan_closed": (
        "Denne planen kan ikke lenger bestilles.",
        "Denne planen kan ikkje lenger tingast.",
        "This plan can no longer be asked for.",
    ),
    "nothing_mine": (
        "Ingen systemer har tilgang ennå. Finn et API i katalogen og be om tilgang.",
        "Ingen system har tilgang enno. Finn eit API i katalogen og be om tilgang.",
        "No system has access yet. Find an API in the catalogue and ask for access.",
    ),
    "state": ("Status", "Status", "State"),
    "pending": ("Venter på svar", "Ventar på svar", "Awaits an answer"),
    "active": ("Aktiv", "Aktiv", "Active"),
    "suspended": ("Stanset", "Stansa", "Suspended"),
    "rejected": ("Avslått", "Avslått", "Rejected"),
    "revoked": ("Avsluttet", "Avslutta", "Revoked"),
    "expired": ("Utløpt", "Utgått", "Expired"),
    "reason": ("Begrunnelse", "Grunngjeving", "Reason"),
    "until": ("Gjelder til", "Gjeld til", "Valid until"),
    "created": ("Opprettet", "Oppretta", "Created"),
    "last_used": ("Sist brukt", "Sist brukt", "Last used"),
    "never": ("aldri", "aldri", "never"),
    "keys": ("Nøkler", "Nøklar", "Keys"),
    "key": ("Nøkkel", "Nøkkel", "Key"),
    "no_keys": ("Ingen nøkler er hentet.", "Ingen nøklar er henta.", "No keys have been fetched."),
    "get_keys": ("Hent nøklene", "Hent nøklane", "Get the keys"),
    "get_key": ("Lag en nøkkel til", "Lag ein nøkkel til", "Make one more key"),
    "rotate": ("Bytt", "Byt", "Rotate"),
    "rotate_key": ("Bytt nøkkelen {prefix}", "Byt nøkkelen {prefix}", "Rotate the key {prefix}"),
    "revoke": ("Avslutt", "Avslutt", "Revoke"),
    "revoke_key": ("Avslutt nøkkelen {prefix}", "Avslutt nøkkelen {prefix}", "Revoke the key {prefix}"),
    "keys_once": ("Kopier nøklene nå", "Kopier nøklane no", "Copy the keys now"),
    "key_once": ("Kopier nøkkelen nå", "Kopier nøkkelen no", "Copy the key now"),
    "once_body": (
        "De vises bare denne ene gangen. Legg dem der systemet henter hemmeligheter, aldri i kildekode.",
        "Dei vert viste berre denne eine gongen. Legg dei der systemet hentar løyndomar, aldri i kjeldekode.",
        "They are shown this one time only. Put them where the system gets its secrets, never in source code.",
    ),
    "once_two": (
        "Bruk den ene. Med den andre kan du bytte uten stans.",
        "Bruk den eine. Med den andre kan du byte utan stans.",
        "Use one. The other lets you rotate without a stop.",
    ),
    "example": ("Slik brukes den", "Slik vert han brukt", "How to use it"),
    "copied": ("Jeg har kopiert", "Eg har kopiert", "I have copied"),
    "usage": ("Bruk siste 30 dager", "Bruk siste 30 dagar", "Use in the last 30 days"),
    "quota_used": (
        "{used} av {most} kall brukt. Ny kvote {date}.",
        "{used} av {most} kall brukte. Ny kvote {date}.",
        "{used} of {most} calls used. A new quota begins {date}.",
    ),
    "no_usage": ("Ingen kall siste 30 dager.", "Ingen kall siste 30 dagar.", "No calls in the last 30 days."),
    "day": ("Dag", "Dag", "Day"),
    "allowed": ("Sluppet gjennom", "Slopne gjennom", "Let through"),
    "refused": ("Avvist", "Avviste", "Refused"),
    "give_up": ("Si opp tilgangen", "Sei opp tilgangen", "Give up access"),
    "give_up_body": (
        "Systemet mister tilgangen med en gang, og nøklene slutter å virke.",
        "Systemet mistar tilgangen med ein gong, og nøklane sluttar å verke.",
        "The system loses access at once, and its keys stop working.",
    ),
    "history": ("Hendelser", "Hendingar", "History"),
    "when": ("Når", "Når", "When"),
    "what": ("Hva", "Kva", "What"),
    "who": ("Hvem", "Kven", "Who"),
    "waiting": ("Venter på svar fra deg", "Ventar på svar frå deg", "Waits for your answer"),
    "nothing_waits": ("Ingen venter på svar.", "Ingen ventar på svar.", "Nobody waits for an answer."),
    "approve": ("Godkjenn", "Godkjenn", "Approve"),
    "approve_for": ("Godkjenn {who}", "Godkjenn {who}", "Approve {who}"),
    "reject": ("Avslå", "Avslå", "Reject"),
    "reject_for": ("Avslå {who}", "Avslå {who}", "Reject {who}"),
    "suspend": ("Stans", "Stans", "Suspend"),
    "suspend_for": ("Stans {who}", "Stans {who}", "Suspend {who}"),
    "resume": ("Åpne igjen", "Opne att", "Resume"),
    "resume_for": ("Åpne igjen for {who}", "Opne att for {who}", "Resume {who}"),
    "revoke_for": ("Avslutt {who}", "Avslutt {who}", "Revoke {who}"),
    "reason_for": ("Begrunnelse til {who}", "Grunngjeving til {who}", "Reason to {who}"),
    "reason_missing": (
        "Skriv en begrunnelse: den som har søkt, leser den.",
        "Skriv ei grunngjeving: den som har søkt, les henne.",
        "Write a reason: whoever asked reads it.",
    ),
    "nothing_offered": (
        "Du tilbyr ingen API-er ennå. De beskrives i deployment/api.yaml i appen, eller med kommandoen havn api.",
        "Du tilbyr ingen API-ar enno. Dei vert skildra i deployment/api.yaml i appen, eller med kommandoen havn api.",
        "You offer no APIs yet. They are described in deployment/api.yaml of the app, or with the command havn api.",
    ),
    "consumers": ("Hvem bruker det", "Kven brukar det", "Who uses it"),
    "no_consumers": ("Ingen har hatt tilgang.", "Ingen har hatt tilgang.", "Nobody has had access."),
    "old_users": (
        "{n} har fortsatt tilgang til en versjon som utfases.",
        "{n} har framleis tilgang til ein versjon som vert fasa ut.",
        "{n} still have access to a version that is being phased out.",
    ),
    "requests": ("Kall siste 30 dager", "Kall siste 30 dagar", "Calls in the last 30 days"),
    "draft": ("Utkast", "Utkast", "Draft"),
    "published": ("Publisert", "Publisert", "Published"),
    "done": ("Endringen er gjort.", "Endringa er gjord.", "The change is made."),
    "sent_pending": (
        "Søknaden er sendt. Eieren svarer, og svaret står her.",
        "Søknaden er send. Eigaren svarar, og svaret står her.",
        "The request is sent. The owner answers, and the answer appears here.",
    ),
    "sent_active": (
        "Tilgangen er klar. Hent nøklene nedenfor.",
        "Tilgangen er klar. Hent nøklane nedanfor.",
        "Access is ready. Get the keys below.",
    ),
    "wrong_state": (
        "Dette er endret i mellomtiden. Se på statusen nå.",
        "Dette er endra i mellomtida. Sjå på statusen no.",
        "This has changed meanwhile. Look at the state now.",
    ),
    "not_found": ("Siden finnes ikke", "Sida finst ikkje", "There is no such page"),
    "not_found_body": (
        "Adressen er feil, eller det som var her er borte.",
        "Adressa er feil, eller det som var her er borte.",
        "The address is wrong, or what was here is gone.",
    ),
    "forbidden": ("Du har ikke tilgang", "Du har ikkje tilgang", "You may not see this"),
    "forbidden_body": (
        "Du kan ikke handle for virksomheten dette gjelder.",
        "Du kan ikkje handle for verksemda dette gjeld.",
        "You cannot act for the organisation that this is about.",
    ),
    "level": ("Logg inn sterkere", "Logg inn sterkare", "Sign in more strongly"),
    "level_body": (
        "Logg inn på nivå 3 eller høyere for å handle for en virksomhet.",
        "Logg inn på nivå 3 eller høgare for å handle for ei verksemd.",
        "Sign in at level 3 or higher to act for an organisation.",
    ),
    "old_page": ("Siden er for gammel", "Sida er for gammal", "The page is too old"),
    "old_page_body": (
        "Last siden på nytt og prøv en gang til. Ingenting er endret.",
        "Last sida på nytt og prøv ein gong til. Ingenting er endra.",
        "Load the page again and try once more. Nothing was changed.",
    ),
    "error": ("Noe gikk galt", "Noko gjekk gale", "Something went wrong"),
    "error_body": (
        "Feilen er hos oss. Prøv igjen om litt.",
        "Feilen er hos oss. Prøv att om litt.",
        "The fault is ours. Try again in a while.",
    ),
    "refused_title": ("Det gikk ikke", "Det gjekk ikkje", "That did not work"),
    "to_catalogue": ("Til katalogen", "Til katalogen", "To the catalogue"),
    "and": ("og", "og", "and"),
    "everything": ("alt", "alt", "everything"),
    "concurrency": ("Høyst {n} kall samtidig", "Høgst {n} kall samstundes", "At most {n} calls at once"),
    "second": ("sekund", "sekund", "second"),
    "seconds": ("{n} sekunder", "{n} sekund", "{n} seconds"),
    "minute": ("minutt", "minutt", "minute"),
    "hour": ("time", "time", "hour"),
    "per_day": ("dag", "dag", "day"),
    "per_week": ("uke", "veke", "week"),
    "per_month": ("måned", "månad", "month"),
    "limit": ("Høyst {n} kall per {per}", "Høgst {n} kall per {per}", "At most {n} calls per {per}"),
    "limit_of": ("{limit} til {what}", "{limit} til {what}", "{limit} to {what}"),
}  # fmt: skip
_ACTIONS: Mapping[str, tuple[str, str, str]] = {
    "write": ("endret", "endra", "changed"),
    "remove": ("fjernet", "fjerna", "removed"),
    "close": ("lukket", "lukka", "closed"),
    "retire": ("avsluttet", "avslutta", "ended"),
    "deprecate": ("utfaset", "fasa ut", "deprecated"),
    "register": ("registrert", "registrert", "registered"),
    "ask": ("bedt om", "bedt om", "asked for"),
    "approve": ("godkjent", "godkjent", "approved"),
    "reject": ("avslått", "avslått", "rejected"),
    "suspend": ("stanset", "stansa", "suspended"),
    "resume": ("åpnet igjen", "opna att", "resumed"),
    "revoke": ("avsluttet", "avslutta", "revoked"),
    "make": ("laget", "laga", "made"),
}


def word(language: str, key: str, **values: object) -> str:
    """A sentence, its values put in."""
    return WORDS[key][LANGUAGES.index(language)].format(**values)


def action(language: str, key: str) -> str:
    """What was done, as the history tells it."""
    found = _ACTIONS.get(key)
    return found[LANGUAGES.index(language)] if found is not None else key


def number(language: str, value: int) -> str:
    """A whole number with its thousands apart, as the language writes it."""
    return f"{value:,}".replace(",", "," if language == "en" else "\u00a0")


_MONTHS = {
    "nb": ("januar", "februar", "mars", "april", "mai", "juni", "juli", "august", "september", "oktober", "november",
           "desember"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
           "December"),
}  # fmt: skip


def day(language: str, at: datetime) -> str:
    """A date, Norwegian time."""
    local = at.astimezone(_OSLO)
    if language == "en":
        return f"{local.day} {_MONTHS['en'][local.month - 1]} {local.year}"
    return f"{local.day}. {_MONTHS['nb'][local.month - 1]} {local.year}"


def moment(language: str, at: datetime) -> str:
    """A date with the time of day, Norwegian time."""
    return f"{day(language, at)} {at.astimezone(_OSLO):%H:%M}"


def limits(language: str, plan: PlanTerms) -> list[str]:
    """What a plan allows, a sentence each."""
    found = []
    for rate in plan.rates:
        text = word(language, "limit", n=number(language, rate.requests), per=_span(language, rate.seconds))
        found.append(_of(language, text, rate))
    for quota in plan.quotas:
        text = word(language, "limit", n=number(language, quota.requests), per=word(language, f"per_{quota.per}"))
        found.append(_of(language, text, quota))
    if plan.concurrency is not None:
        found.append(word(language, "concurrency", n=number(language, plan.concurrency)))
    if not found:
        found.append(word(language, "unlimited"))
    for key, matches in (("covers", plan.covers), ("excluded", plan.excludes)):
        if matches:
            found.append(word(language, key, what=_list(language, [_match(language, each) for each in matches])))
    if plan.mode == "observe":
        found.append(word(language, "observed"))
    if plan.days is not None:
        found.append(word(language, "lasts", days=plan.days))
    return found


def _span(language: str, seconds: int) -> str:
    exact = {1: "second", 60: "minute", 3600: "hour"}.get(seconds)
    return word(language, exact) if exact is not None else word(language, "seconds", n=seconds)


def _of(language: str, text: str, match: Match) -> str:
    if not match.methods and not match.paths:
        return text
    return word(language, "limit_of", limit=text, what=_match(language, match))


def _match(language: str, match: Match) -> str:
    parts = [_list(language, match.methods), _list(language, match.paths)]
    return " ".join(part for part in parts if part) or word(language, "everything")


def _list(language: str, items: Sequence[str]) -> str:
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word(language, 'and')} {items[-1]}"
