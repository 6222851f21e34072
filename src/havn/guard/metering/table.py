"""Which Api a request is for: by path, the longest prefix of whole segments, with the headers that Api announces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime

from havn.contracts.management import Api, Plan
from havn.contracts.metering import ManagedApi

Header = tuple[bytes, bytes]


class Entry:
    """One Api, ready for requests."""

    __slots__ = ("anonymous", "api", "headers", "id", "needs_key", "retired")

    def __init__(self, managed: ManagedApi) -> None:
        self.api: Api = managed.api
        self.id = managed.api.id
        self.anonymous: Plan | None = managed.anonymous
        self.needs_key = managed.api.access == "key" or managed.anonymous is None
        self.retired = managed.api.state == "retired"
        self.headers = _announced(managed.api)


class Table:
    """The managed Apis of one app."""

    def __init__(self, managed: Sequence[ManagedApi] = ()) -> None:
        self._prefixes: dict[str, Entry] = {}
        for each in managed:
            entry = Entry(each)
            for path in each.api.paths:
                # Of two that claim one path, the first by id has it: the same in every process.
                self._prefixes.setdefault(path.rstrip("/"), entry)
        self._longest = max((prefix.count("/") for prefix in self._prefixes), default=0)
        self.empty = not self._prefixes

    def find(self, path: str) -> Entry | None:
        """The Api that `path`, below the app's own address, belongs to."""
        # Segment by segment: a look-up for each, and no more than the longest prefix has.
        found = self._prefixes.get("")
        end = 0
        for _ in range(self._longest):
            end = path.find("/", end + 1)
            entry = self._prefixes.get(path if end < 0 else path[:end])
            found = entry or found
            if end < 0:
                break
        return found


NOTHING = Table()


def _announced(api: Api) -> list[Header]:
    """`Deprecation` (RFC 9745), `Sunset` (RFC 8594), and links to what is written about it."""
    headers: list[Header] = []
    if api.deprecated is not None:
        headers.append((b"deprecation", b"@%d" % int(api.deprecated.timestamp())))
        if api.documentation:
            headers.append((b"link", f'<{api.documentation}>; rel="deprecation"; type="text/html"'.encode()))
    if api.sunset is not None:
        headers.append((b"sunset", http_date(api.sunset).encode()))
        if api.documentation:
            headers.append((b"link", f'<{api.documentation}>; rel="sunset"; type="text/html"'.encode()))
    return headers


def http_date(moment: datetime) -> str:
    """As HTTP writes it (RFC 9110 section 5.6.7)."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)
