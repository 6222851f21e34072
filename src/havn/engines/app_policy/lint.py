"""Doubtful things in an app policy: what can never happen, what is said twice, what names nothing."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Literal as Choice

import msgspec

from havn.engines.app_policy import names
from havn.engines.app_policy.reading import Grant, Pair, RuleView, levels, policies, rules
from havn.engines.xacml.policy import PolicyDocument

_PLACEHOLDER = re.compile(r"\[(?:org|app)\]", re.IGNORECASE)
MAX_FINDINGS = 500
_MAX_LEVEL = 4

KNOWN_ROLES = frozenset(
    {
        "bedr", "best", "bobe", "dagl", "dtpr", "dtso", "ffør", "innh", "knuf", "komp", "kont", "lede", "medl",
        "nest", "priv", "regn", "repr", "revi", "seln", "sign", "vara", "a0212", "a0236", "a0237", "a0238",
        "a0239", "a0240", "a0241", "a0278", "a0282", "a0286", "a0293", "a0294", "a0298", "admai", "apiadm",
        "apiadmnuf", "attst", "boadm", "bobel", "ektj", "hadm", "hvask", "kladm", "komab", "loper", "pasig",
        "pavad", "priut", "regna", "sam", "signe", "siskd", "uihtl", "uiluf", "utinn", "utomr"
    }
)  # fmt: skip
"""Role codes that registers give out or that can be delegated; compared without case."""


class AppFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the app. None: not known, so that nothing is found wrong with it."""

    org: str | None = None
    app: str | None = None
    tasks: Collection[str] | None = None
    end_events: Collection[str] | None = None
    actions: Collection[str] | None = None
    """Actions that the app's process or platform ever asks about."""
    roles: Collection[str] = KNOWN_ROLES


class Finding(msgspec.Struct, frozen=True):
    """One doubt and where it is."""

    severity: Choice["error", "warning"]
    code: str
    message: str
    line: int | None = None
    rule: str | None = None
    hint: str | None = None


def lint(document: PolicyDocument, facts: AppFacts) -> list[Finding]:
    """All findings in document order, errors among them; at most 500."""
    views = rules(document)
    found = [
        *_whole(document, views),
        *(finding for view in views for finding in _one(view, facts)),
        *_overlaps(views),
        *_completeness(views, facts),
    ]
    return sorted(dict.fromkeys(found), key=lambda finding: (finding.line or 0, finding.code))[:MAX_FINDINGS]


def _finding(view: RuleView, code: str, message: str, hint: str | None = None, *, error: bool = False) -> Finding:
    return Finding("error" if error else "warning", code, message, view.rule.line, view.rule.id, hint)


def _whole(document: PolicyDocument, views: list[RuleView]) -> Iterator[Finding]:
    if not views:
        yield Finding("warning", "no_rules", "The policy has no rules: nobody may do anything.", 1)
    for policy in policies(document.root):
        if policy.algorithm.legacy:
            yield Finding(
                "warning", "legacy_algorithm",
                f"The combining algorithm {policy.algorithm.id} is deprecated: it treats errors less strictly.",
                policy.line, None, "Use urn:oasis:names:tc:xacml:3.0:rule-combining-algorithm:deny-overrides.",
            )  # fmt: skip
    stated = levels(document)
    user, owner = stated.get(names.MINIMUM_LEVEL), stated.get(names.MINIMUM_LEVEL_ORG)
    if owner and not user:
        yield Finding(
            "warning", "owner_level_alone",
            "Only the owner's minimum level is stated: it is never enforced by itself.", None, None,
            f"State {names.MINIMUM_LEVEL} as well.",
        )  # fmt: skip
    if owner and user and max(owner) > max(user):
        yield Finding(
            "warning", "owner_level_stricter",
            f"The owner's minimum level {max(owner)} is above the users' {max(user)}: it cannot be stricter.",
        )  # fmt: skip
    for category, values in stated.items():
        if max(values) > _MAX_LEVEL:
            yield Finding(
                "warning", "level_unreachable",
                f"The minimum level {max(values)} ({category.rpartition(':')[2]}) is above {_MAX_LEVEL},"
                " which no sign-in gives.",
            )  # fmt: skip


def _one(view: RuleView, facts: AppFacts) -> Iterator[Finding]:
    if view.cut:
        yield _finding(view, "too_many_combinations", "The rule has too many combinations to look at them all.")
    if not view.permits:
        yield _finding(
            view, "deny_rule", "A Deny rule refuses whatever other rules permit.",
            "App policies usually only permit; make sure that this is meant.",
        )  # fmt: skip
    for code, message, hint, error in dict.fromkeys(_grants(view, facts)):
        yield _finding(view, code, message, hint, error=error)


def _grants(view: RuleView, facts: AppFacts) -> Iterator[tuple[str, str, str | None, bool]]:
    for grant in view.grants:
        for pair in (*grant.subject, *grant.resource):
            if _PLACEHOLDER.fullmatch(pair.value):
                yield ("placeholder", f"{pair.value} was not replaced by a name.", "Build with --as ORG/APP.", True)
        yield from _contradictions(grant)
        yield from _resource(view, grant, facts)
        for pair in grant.subject:
            if (
                pair.id == names.ROLE_CODE
                and pair.value.lower() not in facts.roles
                and not _PLACEHOLDER.search(pair.value)
            ):
                yield ("unknown_role", f"No register gives out the role {pair.value}.", None, False)
        if grant.action is not None and facts.actions is not None and grant.action.value not in facts.actions:
            yield (
                "unused_action", f"Nothing in the app asks about the action {grant.action.value}.",
                "Compare with the actions in process.bpmn.", False,
            )  # fmt: skip


def _contradictions(grant: Grant) -> Iterator[tuple[str, str, str | None, bool]]:
    """A single-valued attribute that would have to have two values."""
    values: dict[str, set[str]] = {}
    for pair in grant.resource:
        values.setdefault(pair.id, set()).add(pair.value.lower() if pair.folded else pair.value)
    for name, wanted in values.items():
        if len(wanted) > 1 and name in (names.ORG, names.APP, names.TASK, names.END_EVENT):
            yield (
                "never_applies", f"{name} would have to be {' and '.join(sorted(wanted))} at once.",
                "Put alternatives into one AnyOf, each in its own AllOf.", False,
            )  # fmt: skip
    if names.TASK in values and names.END_EVENT in values:
        yield (
            "never_applies", "A task and an end event are named together: an instance is never in both.",
            "Put them into separate AllOf elements of one AnyOf.", False,
        )  # fmt: skip


def _resource(view: RuleView, grant: Grant, facts: AppFacts) -> Iterator[tuple[str, str, str | None, bool]]:
    held = {pair.id: pair.value for pair in grant.resource}
    registered = held.get(names.RESOURCE_ID)
    if registered is None and (names.ORG not in held or names.APP not in held):
        yield ("no_app", "The rule does not say which org and app it is about.", None, False)
    for name, wanted in ((names.ORG, facts.org), (names.APP, facts.app)):
        value = held.get(name)
        if wanted is not None and value is not None and value != wanted and not _PLACEHOLDER.fullmatch(value):
            yield ("foreign_app", f"The rule is about {value}, not {wanted}.", None, view.permits)
    if registered is not None and facts.org is not None and registered != f"app_{facts.org}_{facts.app}":
        yield ("foreign_app", f"The rule is about {registered}, not app_{facts.org}_{facts.app}.", None, view.permits)
    for name, known, kind in ((names.TASK, facts.tasks, "task"), (names.END_EVENT, facts.end_events, "end event")):
        if known is not None and name in held and held[name] not in known:
            yield (
                "unknown_place", f"The process has no {kind} {held[name]}.",
                f"It has {', '.join(sorted(known)) or 'none'}.", False,
            )  # fmt: skip


def _overlaps(views: list[RuleView]) -> Iterator[Finding]:
    """Rules that add nothing: wholly covered by an earlier one, or dead behind a Deny."""
    for number, view in enumerate(views):
        if view.cut or not view.grants:
            continue
        for other in views[:number] + views[number + 1 :]:
            if other.cut or not other.grants or other.policy != view.policy:
                continue
            same = other.rule.effect is view.rule.effect
            if same and views.index(other) > number and _covered(other.grants, view.grants):
                # Equal rules: the later one is the superfluous one.
                continue
            if not _covered(view.grants, other.grants):
                continue
            if same:
                yield _finding(
                    view, "duplicate_rule", f"Everything in it is already in rule {other.rule.id}.",
                    "Remove it, or narrow the other.",
                )  # fmt: skip
                break
            if view.permits:
                yield _finding(
                    view, "shadowed_rule", f"It never takes effect: rule {other.rule.id} denies all of it.",
                )  # fmt: skip
                break


def _covered(inner: tuple[Grant, ...], outer: tuple[Grant, ...]) -> bool:
    if len(inner) * len(outer) > 250_000:
        return False
    return all(any(_wider(wide, narrow) for wide in outer) for narrow in inner)


def _wider(wide: Grant, narrow: Grant) -> bool:
    """Whether every request in `narrow` is also in `wide`."""
    if not wide.plain:
        return False
    if wide.action is not None and not (narrow.action is not None and _implies(narrow.action, wide.action)):
        return False
    return all(any(_implies(held, wanted) for held in narrow.subject) for wanted in wide.subject) and all(
        any(_implies(held, wanted) for held in narrow.resource) for wanted in wide.resource
    )


def _implies(held: Pair, wanted: Pair) -> bool:
    if held.id != wanted.id:
        return False
    if wanted.folded:
        return held.value.lower() == wanted.value.lower()
    return held.value == wanted.value and not held.folded


def _completeness(views: list[RuleView], facts: AppFacts) -> Iterator[Finding]:
    """Rights that go together in every app."""
    actions_of: dict[Pair, set[str]] = {}
    owner: set[str] = set()
    for view in views:
        for grant in view.grants:
            if not view.permits or grant.action is None:
                continue
            for pair in grant.subject:
                key = Pair(pair.id, pair.value.lower())
                actions_of.setdefault(key, set()).add(grant.action.value)
                if pair.id == names.ORG:
                    owner.add(grant.action.value)
    for who, actions in actions_of.items():
        if "write" in actions and "read" not in actions:
            yield Finding(
                "warning", "write_without_read", f"{names.shorten(who.id, who.value)} may write but not read.",
            )  # fmt: skip
    if facts.actions is not None and views:
        for action in sorted({"sign", "confirm", "pay"} & set(facts.actions)):
            if not any(action in actions for actions in actions_of.values()):
                yield Finding(
                    "warning", "action_for_nobody", f"The process asks for {action}, and nobody may do it.", None, None,
                    "Nobody gets past that task.",
                )  # fmt: skip
    if views and "complete" not in owner:
        yield Finding(
            "warning", "no_owner_complete", "The service owner may not complete instances (confirm their receipt).",
        )  # fmt: skip
