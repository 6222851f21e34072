"""`config/authorization/policy.xml`: read by the engine, held against the app around it, tried on its own cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from lxml import etree

from havn.appfolder import policy_cases
from havn.appfolder.checks.subject import Subject
from havn.engines import xacml
from havn.engines.process.places import Places
from havn.engines.xml_parser import parser

_NS = "{urn:oasis:names:tc:xacml:3.0:core:schema:wd-17}"
_ACTION = "urn:oasis:names:tc:xacml:1.0:action:action-id"
_ORG, _APP = "urn:altinn:org", "urn:altinn:app"
_RESOURCE = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"


def check(subject: Subject, now: datetime) -> frozenset[str] | None:
    """Report what is wrong, and the cases beside the policy that it fails at the moment `now`.

    Gives the actions that some rule permits, None when that is not known.
    """
    beside = policy_cases.read_beside(subject.files)
    text = subject.files.text(subject.policy_file)
    if text is None:
        if not subject.files.exists(subject.policy_file):
            subject.files.report(
                "error", "policy.missing", "There is no config/authorization/policy.xml.", subject.policy_file
            )
        return None
    content = text.encode()
    try:
        document = xacml.load_policy(content, source=subject.policy_file)
    except xacml.PolicyError as error:
        place = f" (rule {error.rule})" if error.rule else f" (policy {error.policy})" if error.policy else ""
        message = f"The policy is refused: {error.message.rstrip('.')}{place}."
        at = _begin(content, error.line or 0)
        subject.files.report("error", "policy.invalid", message, subject.policy_file, at)
        return None
    if beside is not None and subject.app_id is not None:
        policy_cases.check(subject.files, beside, document, subject.app_id, now)
    root = etree.fromstring(content, parser(comments=True))
    places = Places(content, root)
    _resource(subject, root, places)
    permitted = _permitted(root)
    if permitted is not None:
        for action in ("instantiate", "read"):
            if action not in permitted and "write" in _needed(subject):
                subject.files.report(
                    "warning",
                    "policy.action-missing",
                    f"No rule permits {action!r}, so nobody can {'start an instance' if action[0] == 'i' else 'read'}.",
                    subject.policy_file,
                    places.of(root),
                )
    return permitted


def _begin(content: bytes, line: int) -> tuple[int, int]:
    """Where the element begins whose start tag ends on `line`."""
    try:
        root = etree.fromstring(content, parser(comments=True))
    except etree.XMLSyntaxError:
        return line, 0
    if root.getroottree().docinfo.internalDTD is not None:
        return line, 0
    places = Places(content, root)
    node = next((node for node in root.iter() if isinstance(node.tag, str) and node.sourceline == line), None)
    return places.of(node) if node is not None else (line, 0)


def _needed(subject: Subject) -> set[str]:
    tasks = subject.process.tasks if subject.process else ()
    return {action for task in tasks for action in task.next_actions}


def _matches(node: Any) -> list[tuple[str, str, str, Any]]:
    """Category, attribute id, value and value element of every match below a node."""
    found = []
    for match in node.iter(f"{_NS}Match"):
        value, designator = match.find(f"{_NS}AttributeValue"), match.find(f"{_NS}AttributeDesignator")
        if value is not None and designator is not None:
            found.append(
                (
                    designator.get("Category") or "",
                    designator.get("AttributeId") or "",
                    (value.text or "").strip(),
                    value,
                )
            )
    return found


def _resource(subject: Subject, root: Any, places: Places) -> None:
    own = subject.app_id
    if own is None:
        return
    for category, attribute, value, node in _matches(root):
        if category != _RESOURCE or attribute not in (_ORG, _APP):
            continue
        wanted = own.org if attribute == _ORG else own.app
        if value.lower() != wanted.lower() and "[" not in value:
            what = "org" if attribute == _ORG else "app"
            subject.files.report(
                "error",
                "policy.app-mismatch",
                f"The rule is for the {what} {value!r}, but this app's {what} is {wanted!r}, so it never applies.",
                subject.policy_file,
                places.of(node),
            )


def _permitted(root: Any) -> frozenset[str] | None:
    actions: set[str] = set()
    for rule in root.iter(f"{_NS}Rule"):
        if rule.get("Effect") != "Permit":
            continue
        named = {value for _, attribute, value, _ in _matches(rule) if attribute == _ACTION}
        if not named:
            return None  # a rule for every action
        actions |= named
    return frozenset(actions)
