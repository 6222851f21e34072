"""Application metadata and texts. Metadata has a version, by which caches notice at once that it has changed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from havn.contracts.storage import Application, TextResource
from havn.platform.storage.store import Queries

_application = msgspec.json.Decoder(Application)
_text = msgspec.json.Decoder(TextResource)


async def version(queries: Queries, org: str, app: str) -> int | None:
    """The version now in force; None for an unknown application."""
    found = await queries.fetchval("select version from application where org = $1 and app = $2", org, app)
    return None if found is None else int(found)


async def find(queries: Queries, org: str, app: str) -> tuple[int, Application] | None:
    """Version and metadata."""
    row = await queries.fetchrow("select version, document from application where org = $1 and app = $2", org, app)
    return None if row is None else (row[0], _application.decode(row[1]))


async def listed(queries: Queries, org: str | None = None) -> list[Application]:
    """All, or one org's."""
    where, arguments = ("", ()) if org is None else ("where org = $1", (org,))
    rows = await queries.fetch(f"select document from application {where} order by org, app", *arguments)  # noqa: S608
    return [_application.decode(row[0]) for row in rows]


async def hold(queries: Queries, org: str, app: str) -> Application | None:
    """The metadata, kept from change by others until the end of this transaction."""
    document = await queries.fetchval(
        "select document from application where org = $1 and app = $2 for update", org, app
    )
    return None if document is None else _application.decode(document)


async def put(queries: Queries, org: str, app: str, application: Application) -> None:
    """Write, new or not; the version never returns to an earlier one, even after a removal."""
    await queries.execute(
        """insert into application as a (org, app, version, document)
           values ($1, $2, (extract(epoch from clock_timestamp()) * 1000000)::bigint, $3)
           on conflict (org, app) do update set document = excluded.document,
               version = greatest(a.version + 1, excluded.version)""",
        org,
        app,
        application,
    )


async def remove(queries: Queries, org: str, app: str) -> None:
    """Remove with its texts."""
    await queries.execute("delete from application where org = $1 and app = $2", org, app)


async def put_text(queries: Queries, org: str, app: str, text: TextResource) -> None:
    """Write, new or not; the application is there."""
    by_id = {each.id: each.value for each in text.resources}
    await queries.execute(
        """insert into text_resource (org, app, language, app_name, document) values ($1, $2, $3, $4, $5)
           on conflict (org, app, language) do update set app_name = excluded.app_name, document = excluded.document""",
        org,
        app,
        text.language,
        by_id.get("appName") or by_id.get("ServiceName"),
        text,
    )


async def text(queries: Queries, org: str, app: str, language: str) -> TextResource | None:
    """The texts in one language."""
    document = await queries.fetchval(
        "select document from text_resource where org = $1 and app = $2 and language = $3", org, app, language
    )
    return None if document is None else _text.decode(document)


async def remove_text(queries: Queries, org: str, app: str, language: str) -> bool:
    """Whether there was one to remove."""
    return (
        await queries.fetchval(
            "delete from text_resource where org = $1 and app = $2 and language = $3 returning 1", org, app, language
        )
        is not None
    )


async def names(queries: Queries, apps: Sequence[str], language: str) -> dict[str, str]:
    """App id to the name its texts give it in `language`, for those of `apps` that have one."""
    rows = await queries.fetch(
        "select org || '/' || app, app_name from text_resource"
        " where language = $2 and app_name is not null and org || '/' || app = any($1)",
        list(apps),
        language,
    )
    return {row[0]: row[1] for row in rows}


async def with_title(queries: Queries, text: str) -> list[str]:
    """Ids of the applications whose title in any language holds `text`, in any case."""
    rows = await queries.fetch(
        """select a.org || '/' || a.app from application a
           where exists (
               select from jsonb_each_text(a.document -> 'title') t where strpos(lower(t.value), lower($1)) > 0)""",
        text,
    )
    return [row[0] for row in rows]
