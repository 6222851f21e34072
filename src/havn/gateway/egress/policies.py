"""The policies in force: a folder of files that whoever deploys writes, read again whenever one changes.

`folder/{org}/{app}.json` holds an app's `EgressPolicy`. A file that cannot be used leaves the last good policy in force
and raises an alert; one that was never good lets nothing out.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog
from watchfiles import awatch

from havn.engines.egress_policy import EgressPolicy, Policy, faults

_log = structlog.get_logger("egress")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_MAX_FILE = 1024 * 1024
_NOTHING = EgressPolicy(mode="enforce")


def policy_file(folder: Path, org: str, app: str) -> Path:
    """Where the policy of an app lies."""
    return folder / org / f"{app}.json"


class Policies:
    """Policies by app; `broken` holds the apps whose file cannot be used, and why."""

    def __init__(self, folder: Path, *, environment: str, production: bool) -> None:
        self._folder = folder
        self._environment = environment
        self._production = production
        self._changed: Callable[[], None] = lambda: None
        self._policies: dict[str, Policy] = {}
        self._contents: dict[str, bytes] = {}
        self._without = self._made(EgressPolicy())
        self._closed = self._made(_NOTHING)
        self.broken: dict[str, str] = {}

    def of(self, org: str, app: str) -> Policy:
        """The policy of an app; without rules when it has published none."""
        return self._policies.get(f"{org}/{app}", self._without)

    def on_change(self, changed: Callable[[], None]) -> None:
        """Have `changed` called after every change."""
        self._changed = changed

    def load(self) -> None:
        """Read the folder; what has not changed is left alone."""
        found: dict[str, bytes] = {}
        for path in sorted(self._folder.glob("*/*.json")):
            caller = f"{path.parent.name}/{path.stem}"
            if _NAME.fullmatch(path.parent.name) and _NAME.fullmatch(path.stem):
                try:
                    with path.open("rb") as file:
                        found[caller] = file.read(_MAX_FILE + 1)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    # As unusable as a broken one: the last good one stays.
                    found[caller] = f"unreadable: {error.strerror}".encode()
        if found == self._contents:
            return
        for caller in self._contents.keys() - found.keys():
            self._policies.pop(caller, None)
            self.broken.pop(caller, None)
            _log.info("policy_removed", app=caller)
        for caller, content in found.items():
            if content != self._contents.get(caller):
                self._take(caller, content)
        self._contents = found
        self._changed()

    async def watch(self) -> None:
        """Keep reading until cancelled. Watching that fails (too many watches) becomes looking every few seconds."""
        self._folder.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                async for _ in awatch(self._folder, debounce=50, step=10, rust_timeout=2000, yield_on_timeout=True):
                    self.load()
            except (OSError, RuntimeError) as error:
                _log.warning("policies_not_watched", reason=str(error))
            await asyncio.sleep(2)
            self.load()

    def _take(self, caller: str, content: bytes) -> None:
        try:
            policy = msgspec.json.decode(content, type=EgressPolicy)
            wrong = [fault.message for fault in faults(policy)]
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            wrong = [str(error)]
        if wrong:
            self.broken[caller] = wrong[0]
            _log.error("policy_broken", app=caller, reason=wrong[0], kept=caller in self._policies, alert=True)
            self._policies.setdefault(caller, self._closed)
            return
        self.broken.pop(caller, None)
        self._policies[caller] = self._made(policy)
        # Whoever published it waits for this line, by the digest of what was read.
        digest = hashlib.sha256(content).hexdigest()
        _log.info("policy_loaded", app=caller, mode=self._policies[caller].mode, digest=digest)

    def _made(self, policy: EgressPolicy) -> Policy:
        return Policy(policy, environment=self._environment, production=self._production)
