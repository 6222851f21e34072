"""The platform APIs that apps share. Each starts alone, owns its schema, and imports none of the others.

This list is where a new API is made known: whoever starts, migrates, routes or charts the platform reads it.
"""

from __future__ import annotations

import msgspec


class Api(msgspec.Struct, frozen=True):
    """One platform API: its package is `havn.platform.{name}`, its schema and first path segment are `name` too."""

    name: str
    other_prefixes: tuple[str, ...] = ()
    """First path segments that lead to it besides its name."""

    @property
    def prefixes(self) -> tuple[str, ...]:
        """Every first path segment that leads to it."""
        return (self.name, *self.other_prefixes)

    @property
    def app(self) -> str:
        """The module whose `build(settings)` makes its application."""
        return f"havn.platform.{self.name}.app"

    @property
    def migrations(self) -> str:
        """The package of its schema's migrations."""
        return f"havn.platform.{self.name}.migrations"

    @property
    def ready_path(self) -> str:
        """Where it tells whether it can work."""
        return f"/{self.name}/api/v1/health/ready"


# In the order in which they start in one process: each after those that it asks at its start.
APIS: tuple[Api, ...] = (
    Api("authentication"),
    Api("register"),
    Api("profile"),
    Api("authorization", ("accessmanagement", "resourceregistry")),
    Api("storage"),
    Api("management"),
)
