"""The policy retrieval point and the facts store's own end: a `FactSource` on the database and register."""

from __future__ import annotations

from havn.contracts.authorization import PolicyFacts, SubjectFacts, SubjectRef
from havn.platform.authorization.pip import InformationPoint
from havn.platform.authorization.store.policies import PolicyStore


class LocalFacts:
    """What enforcement points get over HTTP, at its source."""

    def __init__(self, policies: PolicyStore, information: InformationPoint) -> None:
        self._policies = policies
        self._information = information

    async def policy(self, org: str, app: str) -> PolicyFacts | None:
        """The policy in force for an app."""
        return await self._policies.in_force(org, app)

    async def subject_facts(self, subject: SubjectRef, parties: list[int], token: str | None) -> list[SubjectFacts]:
        """What holds between a subject and each party."""
        return await self._information.subject_facts(subject, parties)
