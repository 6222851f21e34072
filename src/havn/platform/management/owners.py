"""The service owners: their organisation numbers and names, from the list that all platform components share."""

from __future__ import annotations

from pathlib import Path

import msgspec

from havn.contracts.management import PLATFORM, Title
from havn.kit.settings import SettingsError


class Owner(msgspec.Struct, frozen=True):
    """A service owner, as altinn-orgs.json writes it."""

    name: dict[str, str | None]
    orgnr: str


class _List(msgspec.Struct, frozen=True):
    orgs: dict[str, Owner]


class Owners:
    """Service owners by code."""

    def __init__(self, owners: dict[str, Owner]) -> None:
        self._owners = owners

    @classmethod
    def read(cls, path: str) -> Owners:
        """The owners in the file `path`. Raises `SettingsError`."""
        try:
            return cls(msgspec.json.decode(Path(path).read_bytes(), type=_List).orgs)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise SettingsError(f"HAVN_ORGS_FILE {path} cannot be read: {error}.") from None

    def number(self, org: str) -> str | None:
        """The organisation number behind a code."""
        found = self._owners.get(org)
        return found.orgnr if found is not None else None

    def codes(self, number: str) -> list[str]:
        """The codes of the organisation with this number."""
        return [code for code, owner in self._owners.items() if owner.orgnr == number]

    def name(self, org: str) -> Title:
        """What an owner is called; its code when it is not known."""
        if org == PLATFORM:
            return Title(nb="Plattformen", nn="Plattforma", en="The platform")
        found = self._owners.get(org)
        names = {language: name for language, name in found.name.items() if name} if found is not None else {}
        return Title(nb=names.get("nb") or org, nn=names.get("nn", ""), en=names.get("en", ""))
