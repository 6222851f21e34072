"""The people who can sign in here: those of the fixed set, and of further sets in a folder."""

from __future__ import annotations

from pathlib import Path

from havn.local.testdata import fixed, load
from havn.local.testdata.dataset import Login
from havn.platform.register.parties import fold


class Directory:
    """Finds people by name, number or company. The folder is read again when a set in it is new or has changed."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._stamp: list[tuple[str, float]] | None = None
        self._people: list[tuple[str, Login]] = []
        self._by_pid: dict[str, Login] = {}

    def search(self, words: str, limit: int) -> tuple[list[Login], int]:
        """The first `limit` people who match every word, and how many match in all."""
        self._read()
        wanted = fold(words).split()
        found = [login for text, login in self._people if all(word in text for word in wanted)]
        return found[:limit], len(found)

    def find(self, who: str) -> Login | None:
        """The person with this national identity number, or else with exactly this name."""
        self._read()
        if who in self._by_pid:
            return self._by_pid[who]
        return next((login for _, login in self._people if login.name.casefold() == who.casefold()), None)

    def _read(self) -> None:
        files = sorted(self._folder.glob("*.json")) if self._folder else []
        stamp = [(path.name, path.stat().st_mtime) for path in files]
        if stamp == self._stamp:
            return
        datasets = [fixed.dataset(), *(load.saved(self._folder) if self._folder else [])]
        logins = [login for dataset in datasets for login in dataset.logins]
        self._people = [(_text(login), login) for login in logins]
        self._by_pid = {login.pid: login for login in logins}
        self._stamp = stamp


def _text(login: Login) -> str:
    companies = " ".join(f"{company} {' '.join(roles)}" for company, roles in login.roles)
    return fold(f"{login.name} {login.pid} {' '.join(login.about.values())} {companies}")
