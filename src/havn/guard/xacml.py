"""A caller and a resource as XACML attributes: what every decision point is told."""

from __future__ import annotations

from havn.contracts import authorization as contract
from havn.contracts.authorization import Attribute
from havn.contracts.resources import REGISTERED, resource_id
from havn.guard.pep import Resource
from havn.guard.principal import Kind, Principal

# Claims that are identities: exactly one identity goes into a request, so these never follow along as they are.
_IDENTITIES = frozenset(
    {
        contract.PERSON_UUID,
        contract.USER_ID,
        contract.PARTY_ID,
        contract.ORG_NUMBER,
        contract.ORG_NUMBER_OLD,
        contract.RESOURCE_ID,
        contract.SYSTEM_USER_UUID,
        contract.PERSON_NUMBER,
        contract.SESSION_ID,
        contract.SCOPE,
        "urn:altinn:orgNumber",
        "urn:altinn:scope",
    }
)


def subject(principal: Principal) -> list[tuple[str, str]]:
    """The subject's attributes (id, value): one identity, then the other `urn:` claims, scope and session.

    A system user is its own only attribute, as a decision point demands.
    """
    if principal.kind is Kind.SYSTEM_USER:
        return [(contract.SYSTEM_USER_UUID, principal.system_user_id or "")]
    attributes: list[tuple[str, str]] = []
    if isinstance(person := principal.claims.get(contract.PERSON_UUID), str):
        attributes.append((contract.PERSON_UUID, person))
    elif principal.user_id is not None:
        attributes.append((contract.USER_ID, str(principal.user_id)))
    elif principal.party_id is not None:
        attributes.append((contract.PARTY_ID, str(principal.party_id)))
    elif principal.org_number is not None:
        attributes.append((contract.ORG_NUMBER, principal.org_number))
        attributes.append((contract.ORG_NUMBER_OLD, principal.org_number))
    for name, value in principal.claims.items():
        if name.startswith("urn:") and name not in _IDENTITIES and isinstance(value, str | int):
            attributes.append((name, str(value)))
    if principal.scopes:
        attributes.append((contract.SCOPE, " ".join(sorted(principal.scopes))))
    if principal.sid:
        attributes.append((contract.SESSION_ID, principal.sid))
    return attributes


def resource(wanted: Resource) -> list[tuple[str, str]]:
    """The resource's attributes (id, value); the current task, or else the end event."""
    if wanted.app.startswith(REGISTERED):
        attributes = [(contract.RESOURCE_ID, wanted.app.removeprefix(REGISTERED))]
    else:
        attributes = [(contract.ORG, wanted.org), (contract.APP, wanted.app)]
    if wanted.instance_id is not None:
        attributes.append((contract.INSTANCE_ID, wanted.instance_id))
    if wanted.party_id is not None:
        attributes.append((contract.PARTY_ID, str(wanted.party_id)))
    if wanted.task is not None:
        attributes.append((contract.TASK, wanted.task))
    elif wanted.end_event is not None:
        attributes.append((contract.END_EVENT, wanted.end_event))
    return attributes


def whole_resource(wanted: Resource) -> list[tuple[str, str]]:
    """As `resource`, with the other forms of the app's and the instance's id, as the context handler adds them."""
    attributes = resource(wanted)
    if not wanted.app.startswith(REGISTERED):
        attributes.append((contract.RESOURCE_ID, resource_id(wanted.org, wanted.app)))
    if wanted.instance_id is not None:
        attributes.append((contract.RESOURCE_INSTANCE_ID, f"{contract.INSTANCE_ID}:{wanted.instance_id}"))
    return attributes


def category(attributes: list[tuple[str, str]], *, id_: str, included: frozenset[str]) -> contract.Category:
    """Attributes as a category of a JSON request; those named in `included` are echoed in the result."""
    return contract.Category(
        [Attribute(name, value, include_in_result=name in included) for name, value in attributes], id=id_
    )
