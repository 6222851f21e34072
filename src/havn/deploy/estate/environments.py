"""`Environments` from the rows: each with its platform's client, made anew when the row has changed."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from havn.deploy.environments import Environment, unknown
from havn.deploy.estate.model import EnvironmentRow, environment_place
from havn.deploy.estate.store import EstateStore
from havn.deploy.publishing import OutboundRules, Publisher, TokenSource
from havn.deploy.sealing import Sealer, SealError
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.clock import Clock
from havn.kit.http import HttpClient
from havn.kit.problem import Problem
from havn.kit.trust import Trust

Outbound = Callable[[str], OutboundRules | None]
"""Where the API proxy of the environment with this name finds apps' rules."""


class EstateEnvironments:
    """See `Environments`."""

    def __init__(
        self,
        store: EstateStore,
        sealer: Sealer,
        clock: Clock,
        outbound: Outbound | None = None,
        trust_file: str | None = None,
    ) -> None:
        """`trust_file` holds authorities that are believed for every environment, beside its own."""
        self._store = store
        self._sealer = sealer
        self._clock = clock
        self._outbound = outbound
        self._trust_file = trust_file
        self._made: dict[str, tuple[int, Environment]] = {}
        self._retired: list[Publisher] = []

    async def find(self, name: str) -> Environment:
        """See `Environments.find`."""
        row = await self._store.environment(name)
        if row is None:
            raise unknown(name, [each.name for each in await self._store.environments()])
        return self._environment(row)

    async def all(self) -> list[Environment]:
        """See `Environments.all`."""
        return [self._environment(row) for row in await self._store.environments()]

    async def close(self) -> None:
        """Close every connection to a platform."""
        for publisher in [*self._retired, *(each.publisher for _, each in self._made.values())]:
            await publisher.close()
        self._made.clear()
        self._retired.clear()

    def _environment(self, row: EnvironmentRow) -> Environment:
        known = self._made.get(row.name)
        if known is not None and known[0] == row.version:
            return known[1]
        made = Environment(
            name=row.name,
            type=row.type,
            scheme=row.scheme,
            domain=row.domain,
            publisher=self._publisher(row),
            settings={
                "HAVN_DOMAIN": row.domain,
                "HAVN_SCHEME": row.scheme,
                "HAVN_ENVIRONMENT": row.name,
                "HAVN_ENVIRONMENT_TYPE": row.type,
                "HAVN_PLATFORM_URL": f"{row.scheme}://platform.{row.domain}",
                **row.settings,
            },
            approval=row.approval,
        )
        self._made[row.name] = (row.version, made)
        if known is not None:
            # Somebody may be using it just now.
            self._retired.append(known[1].publisher)
        return made

    def _publisher(self, row: EnvironmentRow) -> Publisher:
        audience = f"{row.scheme}://platform.{row.domain}"
        http = HttpClient(
            row.platform,
            name=f"The platform of {row.name}",
            host=f"platform.{row.domain}",
            timeout=15,
            # As the apps there do.
            verify=believed(row.authorities) if row.authorities else True,
            trust=Trust(Path(self._trust_file), more=row.authorities) if self._trust_file else None,
        )
        signer: TokenSource
        try:
            if row.deploy_key is None:
                raise SealError(
                    f"{row.name} has no key for its platform: give one with `havn environment add … --key FILE`."
                )
            key = self._sealer.open(environment_place(row.name), row.deploy_key)
            signer = PlatformTokenSigner(issuer="platform", app="deploy", audience=audience, key=key, clock=self._clock)
        except SealError as error:
            signer = _NoKey(str(error))
        return Publisher(http, signer, outbound=self._outbound(row.name) if self._outbound else None)


class _NoKey:
    """Stands where a key should, so that what needs none still works."""

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def token(self) -> str:
        raise Problem(409, self._reason, code="no_platform_key")


def believed(authorities: str) -> ssl.SSLContext:
    """The system's authorities and these, PEM. Raises a 400 `Problem` when there are none in it."""
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cadata=authorities)
    except (ssl.SSLError, ValueError):
        raise Problem(
            400, "platform.authorities of the environment's values holds no certificate in PEM form.",
            code="invalid_authorities",
        ) from None  # fmt: skip
    return context
