"""Who asks, in which language: passed to everything the runtime does on somebody's behalf."""

from __future__ import annotations

import msgspec

from havn.clients.credentials import Credentials
from havn.guard.principal import Principal


class Actor(msgspec.Struct, frozen=True):
    """The caller of one request."""

    principal: Principal
    language: str = "nb"
    """Two letters: what texts and messages are given in."""
    credentials: Credentials = Credentials()
    """What is sent on to platform APIs: the caller's own token, and the app's platform token."""
