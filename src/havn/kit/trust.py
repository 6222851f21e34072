"""Whom a client believes: the system's authorities and those of a file, which is followed while it changes.

The file is a mounted Kubernetes Secret as a rule, replaced by the swap of a link. During a change of authority it
holds the old and the new one. When it cannot be read, what was read last stays in force.
"""

from __future__ import annotations

import hashlib
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import structlog

_log = structlog.get_logger("trust")
_LOOK_EVERY = 5.0


class TrustError(OSError):
    """The file holds no authority; the message is a sentence that names it."""


class Trust:
    """The authorities of `file`, with `system` the operating system's too, and those of `more` (PEM)."""

    def __init__(
        self, file: Path, *, system: bool = True, more: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises `TrustError` when the file cannot be used."""
        self._file = file
        self._more = more
        self._system = system
        self._clock = clock
        self._digest, self._context = self._read()
        self._looked = clock()

    def context(self) -> ssl.SSLContext:
        """For a new connection; another object once the file has changed."""
        if self._clock() - self._looked >= _LOOK_EVERY:
            self._looked = self._clock()
            try:
                digest, context = self._read(unless=self._digest)
            except TrustError as error:
                _log.warning("trust_not_renewed", reason=str(error))
            else:
                if digest != self._digest:
                    self._digest, self._context = digest, context
                    _log.info("trust_renewed")
        return self._context

    def _read(self, unless: bytes = b"") -> tuple[bytes, ssl.SSLContext]:
        try:
            data = self._file.read_bytes()
            digest = hashlib.sha256(data).digest()
            if digest == unless:
                return digest, self._context
            context = ssl.create_default_context() if self._system else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(cadata=data.decode("ascii"))
            if self._more:
                context.load_verify_locations(cadata=self._more)
        except (OSError, ssl.SSLError, UnicodeDecodeError) as error:
            raise TrustError(f"{self._file} holds no certificate of an authority.") from error
        return digest, context


def open_trust(file: str | None) -> Trust | None:
    """The trust in a file that a setting names; None when it names none."""
    return None if file is None else Trust(Path(file))
