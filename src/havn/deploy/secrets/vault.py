"""What is done with secrets: new versions, what an app is given, what it goes back to, and changing the key."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from havn.deploy.author import Author
from havn.deploy.sealing import Sealer, SealError
from havn.deploy.secrets import rules
from havn.deploy.secrets.store import InForce, Scope, SecretStore, Value, Version
from havn.deploy.store import Target
from havn.kit.problem import Problem

_AT_ONCE = 100


class Delivered(msgspec.Struct, frozen=True):
    """The secrets that an app is given."""

    files: dict[str, str]
    """Values by name, as the app itself gets them."""
    outbound: dict[str, str]
    """Values by name, as the API proxy gets them: the app never does."""
    variables: dict[str, str]
    """Names of secrets by the environment variable that they are too."""
    used: tuple[InForce, ...]

    def __repr__(self) -> str:
        return f"Delivered({self.used!r})"


class Vault:
    """The secrets of all apps."""

    def __init__(self, store: SecretStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def put(
        self, scope: Scope, name: str, value: str, *, variable: str | None, by: Author, rotate: bool = False
    ) -> int:
        """Store a new version and return its number. Raises `Problem` for what cannot be stored."""
        rules.check_name(name)
        if variable is not None:
            rules.check_variable(variable, of=name)
        known = await self._store.newest(scope.environment, scope.org, None)
        mine = {each.name: each for each in known if each.scope == scope and not each.removed}
        if rotate:
            if name not in mine:
                raise _unknown(scope, name)
            variable = variable or mine[name].variable
        rules.check_value(value, as_variable=variable is not None)
        if name not in mine and len(mine) >= rules.MOST_SECRETS:
            raise Problem(409, f"There are {len(mine)} secrets already: remove one.", code="too_many_secrets")
        other = next((each for each in mine.values() if each.variable == variable and each.name != name), None)
        if variable is not None and other is not None:
            raise Problem(409, f"{variable} is the variable of {other.name} already.", code="variable_taken")
        self._check_together(known, scope, name, size := len(value.encode()))
        return await self._store.add(
            scope,
            name,
            variable=variable,
            value=Value(size, lambda version: self._sealer.seal(_place(scope, name, version), value)),
            by=by,
            action="secret_rotated" if rotate else "secret_set",
        )

    async def remove(self, scope: Scope, name: str, by: Author) -> None:
        """Take a secret away. Raises a 404 `Problem` when there is none."""
        known = await self._store.newest(scope.environment, scope.org, [scope.app])
        if not any(each.name == name and not each.removed for each in known):
            raise _unknown(scope, name)
        await self._store.add(scope, name, variable=None, value=None, by=by, action="secret_removed")

    async def known(self, environment: str, org: str, app: str | None = None) -> list[tuple[Version, dict[str, int]]]:
        """The newest version of each secret, and the version that each app is in force with.

        With `app`, what that app is given, otherwise all of the org's.
        """
        known = await self._store.newest(environment, org, None if app is None else ["", app])
        running = await self._store.all_in_force(environment, org)
        return [
            (
                version,
                {
                    user: used.version
                    for user, uses in running.items()
                    for used in uses
                    if (used.owner, used.name) == (version.scope.app, version.name)
                },
            )
            for version in known
            if not version.removed
        ]

    async def current(self, target: Target) -> Delivered:
        """What an app is given by its next deployment: an app's own secret before the org's. Raises `SealError`."""
        return self._delivered(await self._newest(target))

    async def in_force(self, target: Target) -> Delivered:
        """What an app was last put in force with. Raises `SealError`."""
        newest = {(each.scope.app, each.name): each for each in await self._newest(target, shadowed=True)}
        found = []
        for used, version in await self._store.in_force(target.environment, target.org, target.app):
            # A value is gone when its secret was set again while the deployment that used it went on.
            there = version is not None and version.sealed is not None
            if (best := version if there else newest.get((used.owner, used.name))) is not None:
                found.append(best)
        return self._delivered(found)

    async def settle(self, target: Target, delivered: Delivered) -> None:
        """The app runs with these now."""
        await self._store.put_in_force(target.environment, target.org, target.app, delivered.used)

    async def forget(self, target: Target) -> None:
        """The app runs no more. Its secrets are kept for when it is deployed again."""
        await self._store.put_in_force(target.environment, target.org, target.app, ())

    async def rekey(self) -> tuple[int, str]:
        """Seal anew whatever is sealed with another key than the first, and return how many, and that key's id.

        May be ended at any point and begun again. Raises `SealError`.
        """
        key_id, count = self._sealer.key_id(), 0
        while versions := await self._store.sealed_otherwise(key_id, _AT_ONCE):
            for version in versions:
                assert version.sealed is not None
                place = _place(version.scope, version.name, version.version)
                value = self._sealer.open(place, version.sealed)
                await self._store.seal_anew(version, self._sealer.seal(place, value))
                count += 1
        return count, key_id

    async def _newest(self, target: Target, *, shadowed: bool = False) -> list[Version]:
        known = await self._store.newest(target.environment, target.org, ["", target.app])
        kept = [each for each in known if not each.removed]
        own = {each.name for each in kept if each.scope.app}
        return kept if shadowed else [each for each in kept if each.scope.app or each.name not in own]

    def _delivered(self, versions: Iterable[Version]) -> Delivered:
        files: dict[str, str] = {}
        outbound: dict[str, str] = {}
        variables: dict[str, str] = {}
        used = []
        # The org's first, so that an app's own variable of the same name replaces it.
        for each in sorted(versions, key=lambda each: (each.scope.app, each.name)):
            assert each.sealed is not None
            value = self._sealer.open(_place(each.scope, each.name, each.version), each.sealed)
            if each.name.startswith(rules.OUTBOUND):
                outbound[each.name.removeprefix(rules.OUTBOUND)] = value
            else:
                files[each.name] = value
            if each.variable is not None:
                variables[each.variable] = each.name
            used.append(InForce(each.name, each.scope.app, each.version))
        return Delivered(files, outbound, variables, tuple(used))

    def _check_together(self, known: Iterable[Version], scope: Scope, name: str, size: int) -> None:
        """Refuse what would give any app more than it may have."""
        live = [each for each in known if not each.removed and (each.scope, each.name) != (scope, name)]
        for_all = sum(each.size for each in live if not each.scope.app)
        apps = [scope.app] if scope.app else {each.scope.app for each in live}
        most = max(
            (sum(each.size for each in live if each.scope.app and each.scope.app == app) for app in apps), default=0
        )
        if for_all + most + size > rules.MOST_TOGETHER:
            raise Problem(
                413,
                f"All secrets of an app together have at most {rules.MOST_TOGETHER} bytes.",
                code="secrets_too_large",
            )


def _place(scope: Scope, name: str, version: int) -> str:
    return f"{scope}/{name} (version {version})"


def _unknown(scope: Scope, name: str) -> Problem:
    whose = f"{scope.org}/{scope.app}" if scope.app else scope.org
    return Problem(404, f"{whose} has no secret {name[:63]} in {scope.environment}.", code="unknown_secret")


__all__ = ["Delivered", "SealError", "Vault"]
