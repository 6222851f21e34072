"""The sender as a process of its own, beside a Traefik: `python -m havn.gateway.records`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import setproctitle

from havn.clients.levels import LevelsClient
from havn.contracts.levels import SENDER_HEADER
from havn.gateway.records.sender import Sender
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit import log, settings
from havn.kit.background import cancel
from havn.kit.clock import system_clock
from havn.kit.http import HttpClient
from havn.kit.serve import run
from havn.kit.signals import stop_event


class RecordsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Read by `havn.kit.settings`; `records_log` is the ingress's access log, `records_folder` the sender's own."""

    domain: str
    platform_url: str
    records_log: str
    records_folder: str
    records_token: str = ""
    """Secret: what `havn sla sender add` printed, in an owner's cluster."""
    platform_access_key: str = ""
    """Secret: the private key (JWK) of the component `records`, beside the platform's own ingress."""
    records_source: str = "ingress"
    """Names this ingress; each replica has its own."""
    records_seconds: float = 10.0
    scheme: str = "https"

    def __repr__(self) -> str:
        """Without the secret."""
        return f"<Settings of the records of {self.records_source}>"


async def main() -> None:
    """Send until told to stop; what was read and not delivered waits on disk."""
    wanted = settings.load(RecordsSettings)
    host = f"platform.{wanted.domain}"
    if bool(wanted.records_token) == bool(wanted.platform_access_key):
        raise settings.SettingsError("Give one of HAVN_RECORDS_TOKEN and HAVN_PLATFORM_ACCESS_KEY.")
    http = HttpClient(wanted.platform_url, name="The management API", host=host, timeout=30)
    client = LevelsClient(http)
    proof = _proof(wanted, host)
    sender = Sender(
        Path(wanted.records_log),
        Path(wanted.records_folder),
        domain=wanted.domain,
        source=wanted.records_source,
        deliver=lambda batch: client.send(batch, proof()),
    )
    stop = stop_event()
    sending = asyncio.create_task(sender.run(wanted.records_seconds))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({sending, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    await cancel(sending)
    await http.close()


def _proof(wanted: RecordsSettings, host: str) -> Callable[[], dict[str, str]]:
    """What shows management who sends."""
    if wanted.records_token:
        return lambda: {SENDER_HEADER: wanted.records_token}
    signer = PlatformTokenSigner(
        issuer="platform",
        app="records",
        audience=f"{wanted.scheme}://{host}",
        key=wanted.platform_access_key,
        clock=system_clock,
    )
    return signer.headers


if __name__ == "__main__":
    setproctitle.setproctitle("havn records")
    log.configure(os.environ.get("HAVN_LOG_LEVEL", "INFO"))
    try:
        run(main)
    except (settings.SettingsError, OSError) as error:
        sys.exit(str(error))
