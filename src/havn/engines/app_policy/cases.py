"""Cases written beside a policy: given who and where, what is allowed and what is not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from havn.engines.app_policy import names
from havn.engines.xacml import CompiledPolicy, Decision, Request

MAX_CASES = 5_000
MAX_EXPECTATIONS = 20_000


class CasesError(ValueError):
    """The cases cannot be used; the message says where, and so does `path` unless the message ends with it."""

    def __init__(self, message: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.path = path


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who asks and where the instance stands.

    `roles`, `packages`: codes. `org`: a service owner's code. `level`: authentication level. `attributes`: further
    subject attributes by id. `task`, `end` or neither (nothing begun). `resource`: further resource attributes.
    `at`: the moment, for policies that look at the clock.
    """

    roles: list[str] = []
    packages: list[str] = []
    org: str | None = None
    user: int | None = None
    level: int | None = None
    attributes: dict[str, str | list[str]] = {}
    task: str | None = None
    end: str | None = None
    resource: dict[str, str | list[str]] = {}
    at: datetime | None = None


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One case: every action in `allow` must be permitted, none in `deny`."""

    given: Given
    allow: list[str] = []
    deny: list[str] = []
    name: str | None = None


class CaseFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of cases: the app they are about and the cases."""

    cases: list[Case]
    org: str | None = None
    app: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """One expectation and what came of it; `decision` notes a level that is too low as `Permit (level 3 needed)`."""

    number: int
    name: str
    action: str
    expected: str
    decision: str
    rule: str | None
    passed: bool


def read(value: Any) -> CaseFile:
    """The cases in a decoded YAML document: a list of cases, or a mapping with `cases`."""
    if isinstance(value, list):
        value = {"cases": value}
    try:
        found = msgspec.convert(value, CaseFile)
    except msgspec.ValidationError as error:
        raise CasesError(str(error)) from None
    if len(found.cases) > MAX_CASES:
        raise CasesError(f"at most {MAX_CASES} cases go into one file")
    if sum(len(case.allow) + len(case.deny) for case in found.cases) > MAX_EXPECTATIONS:
        raise CasesError(f"at most {MAX_EXPECTATIONS} actions can be expected in one file")
    for number, case in enumerate(found.cases, 1):
        path = ("cases", number - 1)
        if not case.allow and not case.deny:
            raise CasesError(f"case {number} expects nothing: give allow or deny", path)
        if case.given.task is not None and case.given.end is not None:
            raise CasesError(f"case {number} has both a task and an end event", (*path, "given", "end"))
        if case.given.at is not None and case.given.at.tzinfo is None:
            raise CasesError(f"case {number}: `at` needs a zone, such as 2026-11-01T12:00:00Z", (*path, "given", "at"))
    return found


def run(compiled: CompiledPolicy, file: CaseFile, *, org: str | None, app: str | None, now: datetime) -> list[Outcome]:
    """Every expectation decided by the compiled policy."""
    outcomes: list[Outcome] = []
    for number, case in enumerate(file.cases, 1):
        name = case.name or _describe(case.given)
        for expected, actions in (("allow", case.allow), ("deny", case.deny)):
            for action in actions:
                result = compiled.decide(request(case.given, action, org=file.org or org, app=file.app or app, now=now))
                permitted = result.decision is Decision.PERMIT
                decision = result.decision.value
                needed = _needed(result.obligations, case.given)
                if permitted and needed is not None:
                    permitted, decision = False, f"Permit (level {needed} needed)"
                outcomes.append(
                    Outcome(number, name, action, expected, decision, result.rule, permitted == (expected == "allow"))
                )
    return outcomes


def request(given: Given, action: str, *, org: str | None, app: str | None, now: datetime) -> Request:
    """The request of one expectation."""
    who: dict[str, tuple[str, ...]] = {
        names.ROLE_CODE: tuple(given.roles),
        names.ACCESS_PACKAGE: tuple(given.packages),
        **_bags(given.attributes),
    }
    if given.org is not None:
        who[names.ORG] = (given.org,)
    if given.user is not None:
        who[names.USER_ID] = (str(given.user),)
    if given.level is not None:
        who[names.AUTH_LEVEL] = (str(given.level),)
    where = _bags(given.resource)
    if org is not None and app is not None:
        where = {
            names.ORG: (org,),
            names.APP: (app,),
            names.RESOURCE_ID: (f"app_{org}_{app}",),
            names.PARTY_ID: ("50000000",),
            **where,
        }
    if given.task is not None:
        where[names.TASK] = (given.task,)
    elif given.end is not None:
        where[names.END_EVENT] = (given.end,)
    return Request(
        {
            names.SUBJECT: {name: bag for name, bag in who.items() if bag},
            names.RESOURCE: where,  # type: ignore[dict-item]  # keys are plain ids, which are attribute keys
            names.ACTION: {names.ACTION_ID: (action,)},
        },
        now=(given.at or now).astimezone(UTC),
    )


def _bags(values: Mapping[str, str | list[str]]) -> dict[str, tuple[str, ...]]:
    return {name: (value,) if isinstance(value, str) else tuple(value) for name, value in values.items()}


def _needed(obligations: Any, given: Given) -> int | None:
    """The level that lacks, where the case says a level."""
    if given.level is None:
        return None
    wanted: dict[str, int] = {}
    for obligation in obligations:
        for assignment in obligation.assignments:
            if assignment.category in (names.MINIMUM_LEVEL, names.MINIMUM_LEVEL_ORG) and assignment.text.isdigit():
                wanted[assignment.category] = max(int(assignment.text), wanted.get(assignment.category, 0))
    level = wanted.get(names.MINIMUM_LEVEL)
    if level is None or given.level >= level:
        return None
    owner = wanted.get(names.MINIMUM_LEVEL_ORG)
    if given.org is not None and owner is not None:
        return None if given.level >= owner else owner
    return level


def _describe(given: Given) -> str:
    who = [f"role {role}" for role in given.roles] + [f"package {code}" for code in given.packages]
    who += [f"owner {given.org}"] if given.org else []
    who += [f"{name} {value}" for name, value in given.attributes.items()]
    where = given.task or (f"end {given.end}" if given.end else "no instance")
    return f"{', '.join(who) or 'anyone'} at {where}"
