"""The API proxy on one machine: kept running, its policies and its secrets in folders that it follows.

Policies lie in the state folder, so that they are in force again as soon as the machine is up. Secrets are kept in the
encrypted store, as `egress/{org}/{app}/{name}`, and handed over as files that go with the run.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from havn.engines.egress_policy import EgressPolicy
from havn.gateway.egress.policies import policy_file
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.local import environment
from havn.local.process import Child
from havn.local.secrets import SecretStore, write_private
from havn.local.state import State
from havn.local.supervisor import Supervisor

_PREFIX = "egress/"
_DRAIN_SECONDS = 2.0
_SECRET = re.compile(r"egress/([a-z0-9][a-z0-9-]{0,62})/([a-z0-9][a-z0-9-]{0,62})/([a-z][a-z0-9-]{0,62})")


def policies(state: State) -> Path:
    """Where the published policies lie."""
    return state.egress / "policies"


class FolderRules:
    """See `havn.deploy.publishing.OutboundRules`."""

    def __init__(self, state: State, store: SecretStore) -> None:
        self._state = state
        self._store = store

    async def put_secrets(self, org: str, app: str, values: Mapping[str, str]) -> None:
        """Keep them for the next start, and give them to the proxy that runs now."""
        prefix = f"{_PREFIX}{org}/{app}/"
        wanted = {prefix + name: value for name, value in values.items()}
        known = self._store.under(prefix)
        for name in known.keys() - wanted.keys():
            self._store.remove(name)
            if (file := _file(self._state, name)) is not None:
                file.unlink(missing_ok=True)
        for name, value in wanted.items():
            if known.get(name) != value:
                self._store.put(name, value)
                if _handed(self._state).is_dir():
                    _hand_over(self._state, name, value)

    async def put(self, org: str, app: str, policy: EgressPolicy | None) -> None:
        """Write or remove the app's file, whole or not at all."""
        file = policy_file(policies(self._state), org, app)
        if policy is None:
            file.unlink(missing_ok=True)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        write_private(file, msgspec.json.format(msgspec.json.encode(policy)))


class LocalEgress:
    """Supervises `python -m havn.gateway.egress`."""

    def __init__(
        self,
        state: State,
        addresses: environment.Addresses,
        store: SecretStore,
        *,
        environ: Mapping[str, str],
        output: Callable[[str], None],
    ) -> None:
        self._state = state
        self._store = store
        operations = environment.free_port()
        self._environ = {
            **environ,
            **environment.settings(addresses),
            "HAVN_PORT": str(addresses.egress_port),
            "HAVN_OPERATIONS_PORT": str(operations),
            "HAVN_EGRESS_POLICIES": str(policies(state)),
            "HAVN_EGRESS_SECRETS": str(_handed(state)),
            "HAVN_EGRESS_DRAIN_SECONDS": str(_DRAIN_SECONDS),
        }
        self._http = HttpClient(f"http://127.0.0.1:{operations}", name="health", timeout=2.0, verify=False)
        self.supervisor = Supervisor("egress", self._start, self._probe, output=output, ready_within=20)

    def begin(self) -> None:
        """Start it, with the secrets as they are stored."""
        policies(self._state).mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.rmtree(_handed(self._state), ignore_errors=True)
        _handed(self._state).mkdir(parents=True, mode=0o700)
        for name, value in self._store.under(_PREFIX).items():
            _hand_over(self._state, name, value)
        self.supervisor.begin()

    async def stop(self) -> None:
        """Stop it; requests and tunnels under way get two seconds."""
        await self.supervisor.stop()
        await self._http.close()
        shutil.rmtree(_handed(self._state), ignore_errors=True)

    async def _start(self, output: Callable[[str], None]) -> Child:
        return await Child.start(
            [sys.executable, "-P", "-m", "havn.gateway.egress"],
            name="egress",
            environ=self._environ,
            output=output,
            records=self._state.run,
        )

    async def _probe(self) -> bool:
        try:
            return (await self._http.request("GET", "/health")).status_code == 200
        except Problem:
            return False


def _handed(state: State) -> Path:
    return state.run / "egress-secrets"


def _file(state: State, name: str) -> Path | None:
    match = _SECRET.fullmatch(name)
    return None if match is None else _handed(state) / match[1] / f"{match[2]}.{match[3]}"


def _hand_over(state: State, name: str, value: str) -> None:
    file = _file(state, name)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_private(file, value.encode(), durable=False)
