"""Rows of `approval`: deployments that wait for somebody else."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from havn.contracts.deploy import AuditEntry, Deployment
from havn.contracts.promotion import Approval, ApprovalStatus
from havn.deploy.access import Operator
from havn.deploy.store import Target, Wanted, add_audit, record
from havn.kit.db import Connection, Database, Record
from havn.kit.problem import Problem

LIVES = timedelta(days=7)
"""How long somebody has to approve."""
_APPROVAL = (
    "id, environment, org, app, release, base, replicas, mapping, strand, promoted_from, requested_by, requested,"
    " expires, status, decided_by, decided, comment, deployment"
)


class Approvals:
    """Reads and writes them."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def ask(self, wanted: Wanted, requester: str, now: datetime) -> Approval:
        """Record that `requester` wants this, with its audit line; an older wish for the same app gives way to it."""
        target, place = wanted.target, (wanted.target.environment, wanted.target.org, wanted.target.app)
        async with self._db.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", str(target))
            await connection.execute(
                "update approval set status = 'expired', decided = $4, comment = 'A later one took its place.'"
                " where status = 'waiting' and environment = $1 and org = $2 and app = $3",
                *place, now,
            )  # fmt: skip
            row = await connection.fetchrow(
                "insert into approval (environment, org, app, release, base, replicas, mapping, strand, promoted_from,"  # noqa: S608
                " requested_by, requester, requested, expires, status)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 'waiting')"
                f" returning {_APPROVAL}",
                *place, wanted.release, wanted.base, wanted.replicas, dict(wanted.mapping), wanted.strand,
                wanted.promoted_from, wanted.who, requester, now, now + LIVES,
            )  # fmt: skip
            found = _approval(row)
            after = {"approval": found.id, **wanted.facts()}
            await _audit(connection, found, "ask", wanted.who, wanted.address, now, after)
        return found

    async def find(self, number: int) -> Approval | None:
        """One of them."""
        row = await self._db.fetchrow(f"select {_APPROVAL} from approval where id = $1", number)  # noqa: S608
        return None if row is None else _approval(row)

    async def listed(self, status: ApprovalStatus | None, org: str | None, now: datetime) -> list[Approval]:
        """The newest, of one status or all; those whose time is up are told as expired."""
        await self._db.execute(
            "update approval set status = 'expired', decided = expires where status = 'waiting' and expires <= $1", now
        )
        rows = await self._db.fetch(
            f"select {_APPROVAL} from approval where ($1::text is null or status = $1)"  # noqa: S608
            " and ($2::text is null or org = $2) order by id desc limit 200",
            status, org,
        )  # fmt: skip
        return [_approval(row) for row in rows]

    async def approve(self, number: int, operator: Operator, comment: str | None, now: datetime) -> Deployment:
        """Begin what was asked for, all or nothing. Raises 403, 404 and 409 `Problem`s."""
        async with self._db.transaction() as connection:
            found = await self._decidable(connection, number, operator, now, own=False)
            wanted = Wanted(
                target=Target(found.environment, found.org, found.app),
                kind="deploy",
                release=found.release,
                replicas=found.replicas,
                who=found.requested_by,
                address=operator.address,
                base=found.base,
                mapping=found.mapping,
                strand=found.strand,
                promoted_from=found.promoted_from,
            )
            deployment = await record(connection, wanted, now)
            await self._decide(connection, found, "approved", operator, comment, now, deployment.id)
        return deployment

    async def reject(self, number: int, operator: Operator, comment: str | None, now: datetime) -> Approval:
        """Turn it down; who asked may take it back so, and who approves. Raises 403, 404 and 409 `Problem`s."""
        async with self._db.transaction() as connection:
            found = await self._decidable(connection, number, operator, now, own=True)
            await self._decide(connection, found, "rejected", operator, comment, now, None)
        rejected = await self.find(number)
        assert rejected is not None
        return rejected

    async def _decidable(
        self, connection: Connection, number: int, operator: Operator, now: datetime, *, own: bool
    ) -> Approval:
        row = await connection.fetchrow(
            f"select {_APPROVAL}, requester from approval where id = $1 for update",  # noqa: S608
            number,
        )
        if row is None:
            raise unknown()
        found = _approval(row)
        if found.status == "waiting" and found.expires <= now:
            found = msgspec.structs.replace(found, status="expired")
        if found.status != "waiting":
            by = f" by {found.decided_by}" if found.decided_by else ""
            raise Problem(409, f"Approval {number} was {found.status}{by} already.", code="already_decided")
        if own and row["requester"] != operator.person:
            operator.require("approve", found.org)
        if not own and row["requester"] == operator.person:
            raise Problem(
                403, f"{_own(operator, found)}, so somebody else must approve it.", code="own_request"
            )  # fmt: skip
        return found

    async def _decide(
        self,
        connection: Connection,
        found: Approval,
        status: ApprovalStatus,
        operator: Operator,
        comment: str | None,
        now: datetime,
        deployment: int | None,
    ) -> None:
        await connection.execute(
            "update approval set status = $2, decided_by = $3, decided = $4, comment = $5, deployment = $6"
            " where id = $1",
            found.id, status, operator.name, now, comment, deployment,
        )  # fmt: skip
        after = {"approval": found.id, "release": found.release, "requestedBy": found.requested_by, "comment": comment}
        action = "approve" if status == "approved" else "reject"
        await _audit(connection, found, action, operator.name, operator.address, now, after)


def _own(operator: Operator, found: Approval) -> str:
    """That what was asked for comes from the operator, be it by another name."""
    if operator.name == found.requested_by:
        return f"{operator.name} asked for this deployment"
    return f"{operator.name} acts for the same person as {found.requested_by}, who asked for this deployment"


def unknown() -> Problem:
    """The 404 for an approval that there is not."""
    return Problem(404, "There is no such approval: `havn approvals` lists them.", code="unknown_approval")


async def _audit(
    connection: Connection,
    found: Approval,
    action: str,
    who: str,
    address: str,
    now: datetime,
    after: dict[str, object],
) -> None:
    entry = AuditEntry(
        at=now, who=who, address=address, action=action, environment=found.environment, org=found.org, app=found.app,
        before=None, after=after,
    )  # fmt: skip
    await add_audit(connection, entry)


def _approval(row: Record) -> Approval:
    given = {name: row[name] for name in Approval.__struct_fields__}
    return Approval(**{**given, "mapping": msgspec.json.decode(given["mapping"], type=dict[str, str])})
