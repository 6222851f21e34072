"""What a set of test data holds: facts for register and profile, and the people the sign-in page offers."""

from __future__ import annotations

import hashlib

import msgspec

from havn.platform.profile.store import Contact, Preferences
from havn.platform.register.store import NewParty, NewRole


class ProfileFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A user's first preferences and contact data, by party uuid."""

    party: str
    preferences: Preferences = Preferences()
    contact: Contact | None = None


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """A person the sign-in page offers. `about` says in a few words what they are good for (nb, nn, en)."""

    pid: str
    name: str
    about: dict[str, str] = {}
    roles: list[tuple[str, list[str]]] = []
    """Companies by name, each with the names of the roles held."""


class Dataset(msgspec.Struct, frozen=True, kw_only=True):
    """One set; main units come before their sub-units."""

    name: str
    parties: list[NewParty]
    roles: list[NewRole]
    profiles: list[ProfileFacts]
    logins: list[Login]

    def digest(self) -> str:
        """Changes when anything in the set does."""
        return hashlib.sha256(msgspec.json.encode(self)).hexdigest()
