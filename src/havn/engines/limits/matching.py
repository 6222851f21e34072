"""Which requests a limit counts: methods, and path prefixes of whole segments (`/api` is not a prefix of `/apifoo`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

Matcher: TypeAlias = Callable[[str, str], bool]
"""Takes the method and the path below the app's own address."""


def matcher(methods: Iterable[str] = (), paths: Iterable[str] = ()) -> Matcher:
    """Whether a request has one of `methods` and lies under one of `paths`; none of either means all."""
    wanted = frozenset(methods)
    if "GET" in wanted:
        # RFC 9110 section 9.3.2: HEAD is GET without the content, and costs us the same.
        wanted |= {"HEAD"}
    prefixes = tuple(path.rstrip("/") for path in paths)
    if "" in prefixes:
        prefixes = ()
    exact = frozenset(prefixes)
    below = tuple(f"{prefix}/" for prefix in prefixes)

    if not wanted and not prefixes:
        return _everything

    def matches(method: str, path: str) -> bool:
        return (not wanted or method in wanted) and (not prefixes or path.startswith(below) or path in exact)

    return matches


def _everything(method: str, path: str) -> bool:
    return True
