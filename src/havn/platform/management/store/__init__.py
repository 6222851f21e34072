"""The SQL of management: a module per noun, a function per question.

Functions take a `Queries`: the pool itself for one statement, or the connection of a transaction for several. The
transaction is opened by the operation that needs it. Every write to an Api, a plan, an application, a subscription or a
key raises the number that `changes.version` reads, in the same transaction.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from havn.kit.db import Connection, Database, UniqueViolation

__all__ = ["Connection", "Database", "Queries", "UniqueViolation", "open_database"]

Queries: TypeAlias = Any
"""Anything with `fetch`, `fetchrow`, `fetchval` and `execute`: the database, or one of its connections."""

SCHEMA = "management"


async def open_database(url: str, *, max_size: int = 10) -> Database:
    """The pool for `url`, with management's schema as its search path."""
    return await Database.open(url, SCHEMA, max_size=max_size)
