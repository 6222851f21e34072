"""The policy administration point: publish, keep, put in force, and tell what a policy grants."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import AttributePair, Change, PolicyFinding, PolicyVersion, Published
from havn.contracts.resources import REGISTERED
from havn.engines.app_policy.reading import Grant, levels, rules
from havn.engines.app_policy.roles import KNOWN_ROLES
from havn.engines.xacml import PolicyError, Surroundings, compile_policy, lint, load_policy
from havn.engines.xacml.policy import PolicyDocument
from havn.guard.platform_token import Caller
from havn.kit.problem import Problem
from havn.platform.authorization.store.policies import PolicyStore

MAX_BYTES = 2 * 1024 * 1024
REFUSED = frozenset({"unusable", "other-app", "resource-missing", "placeholder", "level"})
"""Findings that keep a policy from being published; what else is found is told and stands."""
_ABOUT_APPS = frozenset({"no-complete"})
_ORG = re.compile(r"[a-z][a-z0-9]{1,49}")
_REGISTERED = re.compile(re.escape(REGISTERED) + "[a-z0-9_-]{4,100}")
_APP = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")


class PolicyAdministration:
    """Publishes policies after reading them as the decision point will."""

    def __init__(self, store: PolicyStore, announce: Callable[[Change], None]) -> None:
        self._store = store
        # Other replicas hear it from the database; this one must not decide by the old version even once more.
        self._announce = announce

    async def publish(
        self, org: str, app: str, xml: bytes, *, by: str, release: str | None = None, activate: bool = True
    ) -> Published:
        """Keep `xml` as the app's next version and put it in force.

        422 `Problem` with `findings` (line, rule) when it cannot be used: unreadable, mistyped, or about another app.
        """
        if not app.startswith(REGISTERED):
            check_names(org, app)
        document, findings = inspect(org, app, xml)
        errors = [finding for finding in findings if finding.code in REFUSED]
        if document is None or errors:
            raise Problem(
                422,
                f"The policy cannot be used: {errors[0].message}",
                code="policy_refused",
                findings=msgspec.to_builtins(findings),
            )
        digest = hashlib.sha256(xml).hexdigest()
        version = await self._store.publish(
            org, app, xml, digest, by=by, release=release, activate=activate, subjects=subjects_of(document)
        )
        self._announce(Change("policy", org, app))
        return Published(version, findings)

    async def activate(self, org: str, app: str, version: int, *, by: str, reason: str | None) -> PolicyVersion:
        """Put a kept version in force again; 404 when there is none with that number."""
        check_address(org, app)
        found = await self._store.activate(org, app, version, by=by, reason=reason)
        if found is None:
            raise Problem(404, f"{org}/{app} has no policy version {version}.", code="policy_version_not_found")
        self._announce(Change("policy", org, app))
        return found

    async def versions(self, org: str, app: str) -> list[PolicyVersion]:
        """All versions, newest first; 404 when the app has none."""
        found = await self._store.versions(org, app)
        if not found:
            raise no_policy(org, app)
        return found

    async def document(self, org: str, app: str, version: int | None = None) -> tuple[bytes, PolicyDocument]:
        """One version, or the one in force, as bytes and as read; 404 when there is none."""
        if version is None:
            facts = await self._store.in_force(org, app)
            xml = facts.xml if facts is not None else None
        else:
            xml = await self._store.xml(org, app, version)
        if xml is None:
            raise no_policy(org, app)
        return xml, load_policy(xml, source=f"{org}/{app}")

    async def chosen(self, org: str, app: str, policy: str | None, version: int | None) -> PolicyDocument:
        """A policy to try: the text given, a kept version, or the one in force. 400 for both, 422 when unusable."""
        if policy is not None and version is not None:
            raise Problem(400, "Give a policy or a version, not both.", code="invalid_query")
        if policy is None:
            return (await self.document(org, app, version))[1]
        try:
            document = load_policy(policy.encode(), source="policy.xml")
            compile_policy(document)
        except PolicyError as error:
            raise Problem(
                422, f"The policy cannot be used: {error.message}", code="policy_refused", line=error.line,
                ruleId=error.rule,
            ) from None  # fmt: skip
        return document

    async def by_subjects(self, urns: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """For each subject (lower case urn) the addresses whose policy in force names it in a Permit rule."""
        # Versions from before subjects were kept are read once, when somebody asks.
        for org, app, version, xml in await self._store.without_subjects():
            try:
                named = subjects_of(load_policy(xml, source=f"{org}/{app}"))
            except PolicyError:
                # Kept by an earlier engine and unusable for this one: it permits nobody anything.
                named = []
            await self._store.set_subjects(org, app, version, named)
        found: dict[str, list[tuple[str, str]]] = {}
        for org, app, named in await self._store.naming(urns):
            for urn in named:
                found.setdefault(urn, []).append((org, app))
        return found

    async def roles_with_access(self, org: str, app: str) -> list[str]:
        """Role codes in any Permit rule, as written, in document order."""
        _, document = await self.document(org, app)
        found = [
            pair.value
            for view in rules(document)
            if view.permits
            for grant in view.grants
            for pair in grant.subject
            if pair.id == contract.ROLE_CODE
        ]
        return list(dict.fromkeys(found))


def subjects_of(document: PolicyDocument) -> list[str]:
    """Whoever a Permit rule names, as lower case urns."""
    return sorted(
        {
            f"{pair.id}:{pair.value}".lower()
            for view in rules(document)
            if view.permits
            for grant in view.grants
            for pair in grant.subject
        }
    )


class ResourceAction(msgspec.Struct, rename="camel", frozen=True):
    """An action of a resource and the roles that have it."""

    match: AttributePair
    title: str
    description: str | None
    role_grants: list[dict[str, object]]


class ResourcePolicy(msgspec.Struct, rename="camel", frozen=True):
    """What may be done with one resource of an app."""

    title: str
    actions: list[ResourceAction]
    resource: list[AttributePair]
    description: str | None = None


class AppPolicies(msgspec.Struct, rename="camel", frozen=True):
    """The answer for one app of `GetPolicies`."""

    app_id: list[AttributePair]
    resource_policies: list[ResourcePolicy]
    minimum_authentication_level: int = 0
    error_response: str | None = None


def list_grants(app_id: list[AttributePair], document: PolicyDocument) -> AppPolicies:
    """Permit rules with role codes, grouped by the exact resource they name."""
    by_resource: dict[tuple[AttributePair, ...], dict[str, dict[str, None]]] = {}
    for view in rules(document):
        if not view.permits:
            continue
        for grant in view.grants:
            roles = [pair.value for pair in grant.subject if pair.id == contract.ROLE_CODE]
            if not roles or grant.action is None or not grant.resource:
                continue
            actions = by_resource.setdefault(_resource(grant), {})
            for role in roles:
                actions.setdefault(grant.action.value, {})[role] = None
    stated = levels(document).get(contract.MINIMUM_LEVEL, [0])
    return AppPolicies(
        app_id,
        [
            ResourcePolicy(
                title="/".join(pair.value for pair in resource),
                actions=[
                    ResourceAction(
                        AttributePair(contract.ACTION_ID, action),
                        action,
                        None,
                        [{"roleTypeCode": role, "isDelegable": True} for role in roles],
                    )
                    for action, roles in actions.items()
                ],
                resource=list(resource),
            )
            for resource, actions in by_resource.items()
        ],
        max(stated),
    )


def _resource(grant: Grant) -> tuple[AttributePair, ...]:
    order = {contract.ORG: 0, contract.APP: 1}
    pairs = sorted(grant.resource, key=lambda pair: (order.get(pair.id, 2), pair.id, pair.value))
    return tuple(AttributePair(pair.id, pair.value) for pair in pairs)


def inspect(org: str, app: str, xml: bytes) -> tuple[PolicyDocument | None, list[PolicyFinding]]:
    """Read, type-check, compile and lint; the document is None when it cannot be read."""
    try:
        document = load_policy(xml, source=f"{org}/{app}/policy.xml")
        compile_policy(document)
    except PolicyError as error:
        return None, [PolicyFinding("error", "unusable", error.message, error.line, error.rule)]
    registered = app.startswith(REGISTERED)
    known = Surroundings(roles=KNOWN_ROLES) if registered else Surroundings(org=org, app=app, roles=KNOWN_ROLES)
    findings = [
        PolicyFinding(found.severity, found.code, found.message, found.line, found.rule_id)
        for found in lint(document, known)
        if not (registered and found.code in _ABOUT_APPS)
    ]
    if registered:
        findings += _elsewhere(document, app.removeprefix(REGISTERED))
    return document, findings


def _elsewhere(document: PolicyDocument, resource: str) -> list[PolicyFinding]:
    """An error for each rule that does not name the resource."""
    return [
        PolicyFinding(
            "error", "resource-missing", f"the rule must name the resource {resource} in each of its alternatives",
            view.rule.line, view.rule.id,
        )
        for view in rules(document)
        if view.cut
        or any(
            not any(pair.id == contract.RESOURCE_ID and pair.value == resource for pair in grant.resource)
            for grant in view.grants
        )
    ]  # fmt: skip


def check_names(org: str, app: str) -> None:
    """400 unless both could be names of an org and an app."""
    if not _ORG.fullmatch(org) or not _APP.fullmatch(app):
        raise Problem(400, "The org or app name is not valid.", code="invalid_name")


def check_address(org: str, name: str) -> None:
    """400 unless both could be an owner and the name of one of its policies: an app, or `resource:{id}`."""
    if not name.startswith(REGISTERED):
        check_names(org, name)
    elif not _ORG.fullmatch(org) or not _REGISTERED.fullmatch(name):
        raise Problem(400, "The owner or resource name is not valid.", code="invalid_name")


def may_administer(caller: Caller, org: str) -> bool:
    """The components that publish: the control plane, and design tools through it."""
    return caller.org == "platform" and caller.app in ("deploy", "designer")


def no_policy(org: str, app: str) -> Problem:
    """The app has no policy here."""
    return Problem(404, f"There is no policy for {org}/{app}.", code="policy_not_found")
