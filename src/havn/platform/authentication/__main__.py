"""Signing keys by hand: `python -m havn.platform.authentication keys list|rotate|revoke KID`.

Run with the settings of the API itself. Revoke is for emergencies: every token the key signed dies within five minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from havn.kit import settings as kit_settings
from havn.kit.clock import system_clock
from havn.kit.settings import SettingsError
from havn.platform.authentication.app import key_ring
from havn.platform.authentication.settings import Settings
from havn.platform.authentication.store import Store


def main(arguments: list[str] | None = None) -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m havn.platform.authentication", description=__doc__)
    nouns = parser.add_subparsers(dest="noun", required=True)
    verbs = nouns.add_parser("keys", help="the keys that user tokens are signed with").add_subparsers(
        dest="verb", required=True
    )
    verbs.add_parser("list", help="show every key and its state")
    verbs.add_parser("rotate", help="publish a new key, which signs after the waiting time")
    verbs.add_parser("revoke", help="remove a key at once").add_argument("kid")
    given = parser.parse_args(arguments)
    try:
        return asyncio.run(_run(kit_settings.load(Settings), given.verb, getattr(given, "kid", "")))
    except (SettingsError, OSError) as error:
        _say(str(error))
        return 1


async def _run(settings: Settings, verb: str, kid: str) -> int:
    store = await Store.open(settings.authentication_database_url)
    try:
        keys = key_ring(settings, store, system_clock)
        if verb == "rotate":
            _say(f"Published {await keys.rotate()}; it signs in {settings.authentication_key_wait_hours} hours.")
        elif verb == "revoke":
            if not await keys.revoke(kid):
                _say(f"There is no key {kid}: see `keys list`.")
                return 1
            _say(f"Revoked {kid}. Its tokens are refused everywhere within five minutes; people sign in again.")
        for key, state in await keys.listed():
            sys.stdout.write(f"{key.kid}  {key.alg}  {state.value:<10} from {key.signing_from:%Y-%m-%d %H:%M} UTC\n")
        return 0
    finally:
        await store.close()


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
