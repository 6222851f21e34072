"""Decision lines read back from log files, and what they suggest for a policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from havn.gateway.egress.decisions import Decision

_MAX_LINE = 64 * 1024


def decisions(files: Iterable[Path]) -> Iterator[Decision]:
    """The decisions in `files`, in their order; lines of anything else are passed over."""
    decoder = msgspec.json.Decoder(Decision)
    for path in files:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                while line := file.readline(_MAX_LINE):
                    start = line.find('{"event":"egress"')
                    if start < 0:
                        continue
                    try:
                        yield decoder.decode(line[start:])
                    except (msgspec.DecodeError, UnicodeError):
                        continue
        except FileNotFoundError:
            continue


def missing_lines(found: Iterable[Decision], org: str, app: str) -> list[tuple[str, int]]:
    """The lines under `allow:` that would have let out what was denied or only observed, with how often each."""
    counted = Counter(
        each.add
        for each in found
        if (each.org, each.app) == (org, app) and each.add.startswith("- {") and each.would_deny
    )
    return sorted(counted.items(), key=lambda item: (-item[1], item[0]))
