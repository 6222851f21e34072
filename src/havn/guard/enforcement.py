"""Everything a process needs to enforce policy by itself, wired: facts over HTTP, the stream, the decision log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from havn.clients.authorization import AuthorizationClient
from havn.clients.credentials import Credentials
from havn.contracts.authorization import PolicyFacts, SubjectFacts, SubjectRef
from havn.guard.facts import FactCache
from havn.guard.pep import Enforcer
from havn.guard.platform_token import PlatformTokenSigner
from havn.guard.reporting import ClientSink, DecisionReporter
from havn.guard.snapshot import SnapshotDecisionPoint
from havn.guard.stream import ChangeStream
from havn.kit.clock import Clock


class RemoteFacts:
    """A `FactSource` over HTTP."""

    def __init__(self, client: AuthorizationClient, signer: PlatformTokenSigner) -> None:
        self._client = client
        self._signer = signer

    async def policy(self, org: str, app: str) -> PolicyFacts | None:
        """As `FactSource.policy`."""
        return await self._client.policy(org, app, Credentials(platform_token=self._signer.token()))

    async def subject_facts(self, subject: SubjectRef, parties: list[int], token: str | None) -> list[SubjectFacts]:
        """As `FactSource.subject_facts`."""
        return await self._client.subject_facts(subject, parties, Credentials(token, self._signer.token()))


class Enforcement:
    """An `enforcer` that decides in this process; keep `running()` open while serving."""

    def __init__(self, client: AuthorizationClient, signer: PlatformTokenSigner, *, clock: Clock) -> None:
        self.stream = ChangeStream(client, signer)
        self.facts = FactCache(RemoteFacts(client, signer), self.stream, clock=clock)
        self.stream.listen(self.facts.apply)
        self.reporter = DecisionReporter(ClientSink(client, signer))
        self.enforcer = Enforcer(SnapshotDecisionPoint(self.facts, clock=clock, reporter=self.reporter))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Enforcer]:
        """Follow changes and send decisions to the log for as long as the block lasts."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.reporter.running())
            await stack.enter_async_context(self.stream.running())
            yield self.enforcer
