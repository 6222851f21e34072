"""`python -m havn.gateway.dns`: DNS for apps' pods, configured by its environment."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from havn.gateway.dns.server import Filter, Server, allowed
from havn.kit import log, serve
from havn.kit.settings import SettingsError, load
from havn.kit.signals import stop_event


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Each field is `HAVN_<FIELD>`."""

    host: str = "0.0.0.0"  # noqa: S104  (all addresses of its own pod)
    port: int = 5353
    dns_hosts: str = ""
    """Hosts that may be looked up beside the cluster's names, with commas between."""
    dns_cluster_domain: str = "cluster.local"
    dns_upstream: str = ""
    """Address of the cluster's DNS; empty: the first of /etc/resolv.conf."""


def main() -> int:
    """Answer until told to stop."""
    log.configure()
    try:
        settings = load(Settings)
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    upstream = settings.dns_upstream or _system(Path("/etc/resolv.conf"))
    if not upstream:
        print("HAVN_DNS_UPSTREAM is needed: /etc/resolv.conf names no server.", file=sys.stderr)  # noqa: T201
        return 2
    hosts = frozenset(host.strip().lower().rstrip(".") for host in settings.dns_hosts.split(",") if host.strip())

    async def run() -> None:
        stop = stop_event()
        queries = Filter(allowed(settings.dns_cluster_domain, hosts), (upstream, 53))
        await Server(queries).serve(settings.host, settings.port, stop)

    serve.run(run)
    return 0


def _system(file: Path) -> str:
    for line in file.read_text().splitlines():
        words = line.split()
        if len(words) > 1 and words[0] == "nameserver":
            return words[1]
    return ""


if __name__ == "__main__":
    sys.exit(main())
