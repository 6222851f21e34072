"""The process `python -m havn.gateway.egress`: listens, follows the policies, drains on SIGTERM. See `settings.py`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import setproctitle
import uvloop

from havn.gateway.egress.settings import EgressSettings
from havn.gateway.egress.wiring import build
from havn.kit import log, settings
from havn.kit.clock import system_clock
from havn.kit.operations import Operations, counted
from havn.kit.signals import stop_event
from havn.kit.tls import TlsContext, TlsError
from havn.kit.trust import TrustError

UNUSABLE = 2
"""Exit code when the settings cannot be used: starting again would not help."""


async def main(settings: EgressSettings) -> None:
    """Serve until told to stop. Raises OSError when a port is taken or the certificate cannot be used."""
    tls = None if settings.tls_dir is None else TlsContext(Path(settings.tls_dir))
    context = None if tls is None else tls.context
    built = build(settings, write=_write, clock=system_clock)
    built.policies.load()
    operations = Operations(counted(built.metrics, tls))
    stop = stop_event()
    await built.proxy.listen(settings.host, settings.port, context)
    if settings.operations_port:
        await operations.listen(settings.host, settings.operations_port, context)
    watching = [asyncio.create_task(built.policies.watch())]
    if tls is not None:
        watching.append(asyncio.create_task(tls.follow()))
    await stop.wait()
    await built.proxy.close(settings.egress_drain_seconds)
    operations.close()
    for each in watching:
        each.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    await built.http.close()


def _write(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    setproctitle.setproctitle("havn egress")
    log.configure(os.environ.get("HAVN_LOG_LEVEL", "INFO"))
    try:
        wanted = settings.load(EgressSettings)
        uvloop.run(main(wanted))
    except (TlsError, TrustError) as error:
        sys.exit(str(error))
    except OSError as error:
        sys.exit(f"The proxy could not listen: {error.strerror}.")
    except (settings.SettingsError, ValueError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(UNUSABLE)
