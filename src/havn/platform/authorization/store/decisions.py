"""The decision log's rows: written in batches, read by the service owner, dropped when their time is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from havn.contracts.authorization import AttributePair
from havn.kit.db import Database, Record


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    """One decision as it is stored: the subject and the party as pseudonyms, the instance without its party."""

    at: datetime
    org: str
    app: str
    subject: str
    party: str | None
    instance: str | None
    place: str | None
    action: str
    result: str
    rule: str | None
    policy_version: int | None
    micros: int
    count: int
    trace_id: str | None
    decided_by: str
    facts: bytes | None


class DecisionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What to look for; `before` is the id of the last row seen."""

    org: str
    app: str | None = None
    subject: str | None = None
    party: str | None = None
    instance: str | None = None
    action: str | None = None
    result: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 100


class DecisionStore:
    """Reads and writes the decision log in one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, rows: Sequence[DecisionRow], facts: dict[bytes, list[AttributePair]], *, today: date, dropped: int,
        by: str,
    ) -> None:  # fmt: skip
        """Write a batch: each distinct set of attributes once, and how many decisions are missing."""
        async with self._database.transaction() as connection:
            if facts:
                # In one order everywhere, so that two batches never wait for each other.
                digests = sorted(facts)
                await connection.execute(
                    """insert into decision_facts(digest, attributes, last_seen)
                    select d.digest, a.attributes, $3
                    from unnest($1::bytea[]) with ordinality as d(digest, n)
                    join jsonb_array_elements($2::jsonb) with ordinality as a(attributes, n) using (n)
                    on conflict (digest) do update set last_seen = excluded.last_seen
                    where decision_facts.last_seen < excluded.last_seen""",
                    digests,
                    [facts[digest] for digest in digests],
                    today,
                )
            if rows:
                await connection.copy_records_to_table(
                    "decision",
                    columns=list(DecisionRow.__struct_fields__),
                    records=[msgspec.structs.astuple(row) for row in rows],
                    schema_name=self._database.schema,
                )
            if dropped:
                await connection.execute("insert into decision_dropped(decided_by, count) values ($1, $2)", by, dropped)

    async def search(self, wanted: DecisionFilter) -> list[Record]:
        """Decisions that match, newest first."""
        return await self._database.fetch(
            """select id, at, org, app, subject, party, instance::text, place, action, result, rule, policy_version,
                micros, count, trace_id, decided_by
            from decision
            where org = $1 and ($2::text is null or app = $2) and ($3::text is null or subject = $3)
              and ($4::text is null or party = $4) and ($5::uuid is null or instance = $5)
              and ($6::text is null or action = $6) and ($7::text is null or result = $7)
              and ($8::timestamptz is null or at >= $8) and ($9::timestamptz is null or at < $9)
              and ($10::bigint is null or id < $10)
            order by id desc limit $11""",
            wanted.org, wanted.app, wanted.subject, wanted.party, wanted.instance, wanted.action, wanted.result,
            wanted.since, wanted.until, wanted.before, wanted.limit,
        )  # fmt: skip

    async def dropped(self, since: datetime) -> int:
        """How many decisions since then are not in the log."""
        return int(
            await self._database.fetchval("select coalesce(sum(count), 0) from decision_dropped where at >= $1", since)
        )

    async def recorded(
        self,
        org: str,
        app: str,
        *,
        since: datetime | None,
        until: datetime | None,
        limit: int,
        listed: Sequence[tuple[str, str | None]] | None = None,
    ) -> list[Record]:
        """Distinct requests recorded for an app with their latest result and how often they came, commonest first.

        `listed`: the pseudonyms of parties on the app's access lists, each with an action or None for all; the rows
        tell as `listed` whether the request's party is on one for its action. None: everybody is.
        """
        return await self._database.fetch(
            """select d.action, f.attributes, (array_agg(d.result order by d.id desc))[1] as result,
                (array_agg(d.rule order by d.id desc))[1] as rule, sum(d.count)::bigint as times,
                (array_agg(d.policy_version order by d.id desc))[1] as policy_version,
                $6::text[] is null or l.party is not null as listed
            from decision d join decision_facts f on f.digest = d.facts
            left join unnest($6::text[], $7::text[]) as l(party, action)
                on l.party = d.party and (l.action is null or l.action = d.action)
            where d.org = $1 and d.app = $2 and ($3::timestamptz is null or d.at >= $3)
              and ($4::timestamptz is null or d.at < $4)
            group by d.action, f.digest, f.attributes, listed
            order by times desc, f.digest, d.action, listed limit $5""",
            org,
            app,
            since,
            until,
            limit,
            [party for party, _ in listed] if listed is not None else None,
            [action for _, action in listed] if listed is not None else None,
        )

    async def retention(self, org: str, app: str) -> tuple[int, int] | None:
        """Days to keep permits and refusals, where the app has its own."""
        row = await self._database.fetchrow(
            "select permit_days, refusal_days from decision_retention where (org, app) = ($1, $2)", org, app
        )
        return (row["permit_days"], row["refusal_days"]) if row is not None else None

    async def set_retention(self, org: str, app: str, permit_days: int, refusal_days: int) -> None:
        """Give an app its own retention."""
        await self._database.execute(
            """insert into decision_retention(org, app, permit_days, refusal_days) values ($1, $2, $3, $4)
            on conflict (org, app) do update
            set permit_days = excluded.permit_days, refusal_days = excluded.refusal_days""",
            org, app, permit_days, refusal_days,
        )  # fmt: skip

    async def clean(self, *, now: datetime, permit_days: int, refusal_days: int, batch: int = 5000) -> int:
        """Delete up to `batch` decisions whose time is over, or sets of attributes nobody refers to; how many rows.

        One cleaner at a time; a second one finds nothing to do.
        """
        async with self._database.transaction() as connection:
            if not await connection.fetchval("select pg_try_advisory_xact_lock(hashtextextended('decision-clean', 0))"):
                return 0
            deleted = await connection.fetch(
                """delete from decision where id in (
                    select d.id from decision d left join decision_retention r using (org, app)
                    where d.at < $1::timestamptz - make_interval(days => case when d.result = 'Permit'
                        then coalesce(r.permit_days, $2) else coalesce(r.refusal_days, $3) end)
                    order by d.id limit $4) returning 1""",
                now, permit_days, refusal_days, batch,
            )  # fmt: skip
            if deleted:
                return len(deleted)
            orphans = await connection.fetch(
                """delete from decision_facts where digest in (
                    select digest from decision_facts f where last_seen < $1::date - 1
                      and not exists (select 1 from decision d where d.facts = f.digest) limit $2) returning 1""",
                now.date(),
                batch,
            )
            await connection.execute("delete from decision_dropped where at < $1::timestamptz - interval '1 year'", now)
            return len(orphans)
