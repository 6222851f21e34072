"""Persons looked up by number and last name: the caller must know both, and may not guess for long."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import unicodedata
from datetime import datetime, timedelta
from urllib.parse import unquote

from havn.contracts.register import PartyType, Person
from havn.engines.identifiers import EnvironmentType, person_number_fault
from havn.guard.platform_token import Caller
from havn.guard.principal import Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.register.parties import StoredParty
from havn.platform.register.settings import Settings
from havn.platform.register.store import Store

_HOUR = timedelta(hours=1)
_RING = "\u030a"


class PersonLookup:
    """Finds persons for signed-in users, counting misses per user, per app and per number."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    async def find(self, number: str, last_name: str, user: Principal, caller: Caller) -> tuple[Person, int]:
        """The person, and how many misses the user has left.

        404 when the number is unknown or the name is another, the same either way; 429 after too many misses.
        """
        now = self._clock()
        own = _key("user", user.performed_by())
        limits = {
            own: self._settings.register_misses_per_user,
            _key("app", f"{caller.org}/{caller.app}"): self._settings.register_misses_per_app,
            _key("person", number): self._settings.register_misses_per_person,
        }
        for key, limit in limits.items():
            await self._check(key, limit, now)
        # Counted before looking, so that a call cut off half way is counted too.
        miss = await self._store.record_miss(list(limits), now)
        found = await self._store.by_numbers(PartyType.PERSON, [number])
        stored: StoredParty | None = found[0] if found else None
        # An unknown number takes the same comparison as a known one.
        person = stored.person if stored else None
        right = same_last_name(last_name, person.last_name if person else "-") and person is not None
        if not right or person is None or stored is None:
            left = limits[own] - len(await self._store.misses(own, now, limits[own]))
            raise Problem(
                404, "No person has this number and last name.", code="REG-00009", remainingAttempts=max(0, left)
            )
        await self._store.forgive(miss)
        await self._store.audit(
            now,
            action="person.read",
            caller=f"{caller.org}/{caller.app}",
            performed_by=user.performed_by(),
            party=stored.uuid,
        )
        return person, limits[own] - len(await self._store.misses(own, now, limits[own]))

    async def _check(self, key: bytes, limit: int, now: datetime) -> None:
        misses = await self._store.misses(key, now, limit)
        if len(misses) >= limit:
            wait = max(1, int((misses[-1] + _HOUR - now).total_seconds()))
            raise Problem(
                429,
                "There have been too many look-ups with a wrong name. Try again later.",
                code="REG-00008",
                headers={"Retry-After": str(wait)},
            )


def read_headers(number: str, name: str, encoding: str | None, environment_type: EnvironmentType) -> tuple[str, str]:
    """Number and last name from the request headers; 400 when either is missing or cannot be read.

    Without `encoding` the name is taken as UTF-8 in base64 when it is that, else as it stands; with `base64` or
    `percent` nothing is guessed.
    """
    if person_number_fault(number, environment_type) is not None:
        raise Problem(400, "X-Ai-NationalIdentityNumber is not a valid number.", code="REG.VLD-00007")
    if encoding not in (None, "base64", "percent"):
        raise Problem(400, "X-Ai-LastName-Encoding must be base64 or percent.", code="STD.VLD-00002")
    if encoding == "percent":
        decoded: str | None = unquote(name, errors="replace")
    else:
        decoded = _from_base64(name)
        if decoded is None and encoding is None:
            decoded = name
    if not decoded or not decoded.strip() or len(decoded) > 200:
        raise Problem(400, "X-Ai-LastName is missing or cannot be read.", code="REG.VLD-00003")
    return number, decoded


def same_last_name(given: str, actual: str) -> bool:
    """Whether `given` is the last name `actual`, or a whole part of it with at least four letters.

    Case, hyphens and diacritics do not count, except that å is not a.
    """
    wanted, parts = _fold(given), _fold(actual).split()
    candidates = [" ".join(parts), *(part for part in parts if len(part) >= 4)]
    # Every candidate is compared, so that the time tells nothing of how near the name was.
    matches = [hmac.compare_digest(wanted.encode(), candidate.encode()) for candidate in candidates]
    return True in matches


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.casefold().replace("-", " "))
    kept = []
    for index, character in enumerate(decomposed):
        ring_on_a = character == _RING and index > 0 and decomposed[index - 1] == "a"
        if not unicodedata.combining(character) or ring_on_a:
            kept.append(character)
    return " ".join(unicodedata.normalize("NFC", "".join(kept)).split())


def _from_base64(text: str) -> str | None:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _key(kind: str, value: str) -> bytes:
    return hashlib.sha256(f"{kind}:{value}".encode()).digest()
