"""The rows of secrets and of what is in force; values come and go sealed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import msgspec

from havn.deploy.author import Author
from havn.deploy.sealing import Sealed
from havn.kit.db import Connection, Database, Record

_COLUMNS = "app, name, version, variable, removed, size, key_id, sealed, set_by, set_at"


class Scope(msgspec.Struct, frozen=True):
    """Whose secrets: one app's in one environment, or, with the app '', all of an org's there."""

    environment: str
    org: str
    app: str = ""

    def __str__(self) -> str:
        return f"{self.environment}/{self.org}/{self.app}" if self.app else f"{self.environment}/{self.org}"


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a secret. `sealed` is None when it was removed, or is not kept any more."""

    scope: Scope
    name: str
    version: int
    variable: str | None
    removed: bool
    size: int
    sealed: Sealed | None
    set_by: str
    set_at: datetime


class InForce(msgspec.Struct, frozen=True):
    """A version that an app was put in force with; `owner` is the secret's own app."""

    name: str
    owner: str
    version: int


class Value(msgspec.Struct, frozen=True):
    """A value of so many bytes, sealed once the number of its version is known."""

    size: int
    seal: Callable[[int], Sealed]


class SecretStore:
    """Reads and writes the tables `secret` and `secret_in_force`."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @classmethod
    async def open(cls, url: str) -> SecretStore:
        """Connect."""
        return cls(await Database.open(url, "deploy", max_size=4))

    async def close(self) -> None:
        """Close the connections."""
        await self._db.close()

    async def newest(self, environment: str, org: str, apps: Collection[str] | None = None) -> list[Version]:
        """The newest version of each secret, removed ones included; of all the org's apps when `apps` is None."""
        rows = await self._db.fetch(
            f"select distinct on (app, name) {_COLUMNS} from secret"  # noqa: S608
            " where environment = $1 and org = $2 and ($3::text[] is null or app = any($3))"
            " order by app, name, version desc",
            environment, org, None if apps is None else list(apps),
        )  # fmt: skip
        return [_version(environment, org, row) for row in rows]

    async def versions(self, scope: Scope, name: str) -> list[Version]:
        """Every version of one secret, newest first."""
        rows = await self._db.fetch(
            f"select {_COLUMNS} from secret"  # noqa: S608
            " where environment = $1 and org = $2 and app = $3 and name = $4 order by version desc",
            scope.environment, scope.org, scope.app, name,
        )  # fmt: skip
        return [_version(scope.environment, scope.org, row) for row in rows]

    async def add(
        self, scope: Scope, name: str, *, variable: str | None, value: Value | None, by: Author, action: str
    ) -> int:
        """Add a version with its audit line and return its number; `value` None removes the secret."""
        place = (scope.environment, scope.org, scope.app)
        async with self._db.transaction() as connection:
            await _lock(connection, scope)
            before = await connection.fetchrow(
                "select version, variable, removed from secret where environment = $1 and org = $2 and app = $3"
                " and name = $4 order by version desc limit 1",
                *place, name,
            )  # fmt: skip
            number = 1 if before is None else int(before["version"]) + 1
            sealed = value.seal(number) if value is not None else None
            await connection.execute(
                "insert into secret (environment, org, app, name, version, variable, removed, size, key_id, sealed,"
                " set_by, set_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
                *place, name, number, variable, sealed is None, value.size if value is not None else 0,
                sealed.key_id if sealed is not None else None, sealed.data if sealed is not None else None,
                by.who, by.now,
            )  # fmt: skip
            await connection.execute(
                "insert into audit (at, who, address, action, environment, org, app, before, after)"
                " values ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                by.now, by.who, by.address, action, *place,
                None if before is None or before["removed"] else {"secret": name, "version": before["version"]},
                {"secret": name, "version": number} if value is not None else None,
            )  # fmt: skip
            await self._forget_unused(connection, scope.environment, scope.org)
        return number

    async def in_force(self, environment: str, org: str, app: str) -> list[tuple[InForce, Version | None]]:
        """What an app was last put in force with, each with its row."""
        rows = await self._db.fetch(
            "select name, owner, version from secret_in_force"
            " where environment = $1 and org = $2 and app = $3 order by name",
            environment, org, app,
        )  # fmt: skip
        found: list[tuple[InForce, Version | None]] = []
        for row in rows:
            used = InForce(row["name"], row["owner"], row["version"])
            version = await self._db.fetchrow(
                f"select {_COLUMNS} from secret"  # noqa: S608
                " where environment = $1 and org = $2 and app = $3 and name = $4 and version = $5",
                environment, org, used.owner, used.name, used.version,
            )  # fmt: skip
            found.append((used, None if version is None else _version(environment, org, version)))
        return found

    async def all_in_force(self, environment: str, org: str) -> dict[str, list[InForce]]:
        """What each app of the org was last put in force with."""
        rows = await self._db.fetch(
            "select app, name, owner, version from secret_in_force where environment = $1 and org = $2 order by app",
            environment, org,
        )  # fmt: skip
        found: dict[str, list[InForce]] = {}
        for row in rows:
            found.setdefault(row["app"], []).append(InForce(row["name"], row["owner"], row["version"]))
        return found

    async def put_in_force(self, environment: str, org: str, app: str, used: Sequence[InForce]) -> None:
        """Note what an app runs with now, and throw away the values that nothing runs with any more."""
        async with self._db.transaction() as connection:
            await _lock(connection, Scope(environment, org))
            await connection.execute(
                "delete from secret_in_force where environment = $1 and org = $2 and app = $3", environment, org, app
            )
            await connection.executemany(
                "insert into secret_in_force (environment, org, app, name, owner, version)"
                " values ($1, $2, $3, $4, $5, $6)",
                [(environment, org, app, each.name, each.owner, each.version) for each in used],
            )
            await self._forget_unused(connection, environment, org)

    async def sealed_otherwise(self, key_id: str, limit: int) -> list[Version]:
        """Versions whose value is sealed with another key than `key_id`."""
        rows = await self._db.fetch(
            f"select environment, org, {_COLUMNS} from secret"  # noqa: S608
            " where key_id <> $1 order by environment, org, app, name, version limit $2",
            key_id, limit,
        )  # fmt: skip
        return [_version(row["environment"], row["org"], row) for row in rows]

    async def seal_anew(self, version: Version, sealed: Sealed) -> None:
        """Replace the sealed value of one version by the same, sealed with another key."""
        scope = version.scope
        await self._db.execute(
            "update secret set key_id = $6, sealed = $7"
            " where environment = $1 and org = $2 and app = $3 and name = $4 and version = $5 and sealed is not null",
            scope.environment, scope.org, scope.app, version.name, version.version, sealed.key_id, sealed.data,
        )  # fmt: skip

    async def _forget_unused(self, connection: Connection, environment: str, org: str) -> None:
        """A value goes when a newer version is there and no app is in force with it."""
        await connection.execute(
            "update secret s set key_id = null, sealed = null"
            " where environment = $1 and org = $2 and sealed is not null"
            " and exists (select 1 from secret n where n.environment = s.environment and n.org = s.org"
            "  and n.app = s.app and n.name = s.name and n.version > s.version)"
            " and not exists (select 1 from secret_in_force f where f.environment = s.environment and f.org = s.org"
            "  and f.owner = s.app and f.name = s.name and f.version = s.version)",
            environment, org,
        )  # fmt: skip


async def _lock(connection: Connection, scope: Scope) -> None:
    # An org's changes in an environment take turns.
    await connection.execute(
        "select pg_advisory_xact_lock(hashtextextended($1, 0))", f"secrets:{scope.environment}/{scope.org}"
    )


def _version(environment: str, org: str, row: Record) -> Version:
    sealed = None if row["sealed"] is None else Sealed(row["key_id"], bytes(row["sealed"]))
    return Version(
        scope=Scope(environment, org, row["app"]),
        name=row["name"],
        version=row["version"],
        variable=row["variable"],
        removed=row["removed"],
        size=row["size"],
        sealed=sealed,
        set_by=row["set_by"],
        set_at=row["set_at"],
    )
