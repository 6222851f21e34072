"""Wire types of the authorization API: XACML's JSON profile as apps speak it, facts, policies, delegations, log."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

SUBJECT = "urn:oasis:names:tc:xacml:1.0:subject-category:access-subject"
RESOURCE = "urn:oasis:names:tc:xacml:3.0:attribute-category:resource"
ACTION = "urn:oasis:names:tc:xacml:3.0:attribute-category:action"
ENVIRONMENT = "urn:oasis:names:tc:xacml:3.0:attribute-category:environment"

ACTION_ID = "urn:oasis:names:tc:xacml:1.0:action:action-id"
USER_ID = "urn:altinn:userid"
PARTY_ID = "urn:altinn:partyid"
PARTY_UUID = "urn:altinn:party:uuid"
PERSON_UUID = "urn:altinn:person:uuid"
ORGANISATION_UUID = "urn:altinn:organization:uuid"
SYSTEM_USER_UUID = "urn:altinn:systemuser:uuid"
PERSON_NUMBER = "urn:altinn:person:identifier-no"
ORG_NUMBER = "urn:altinn:organization:identifier-no"
ORG_NUMBER_OLD = "urn:altinn:organizationnumber"
ORG = "urn:altinn:org"
APP = "urn:altinn:app"
RESOURCE_ID = "urn:altinn:resource"
INSTANCE_ID = "urn:altinn:instance-id"
RESOURCE_INSTANCE_ID = "urn:altinn:resource:instance-id"
TASK = "urn:altinn:task"
END_EVENT = "urn:altinn:end-event"
APP_RESOURCE = "urn:altinn:appresource"
ROLE_CODE = "urn:altinn:rolecode"
ACCESS_PACKAGE = "urn:altinn:accesspackage"
PARTY_TYPE = "urn:altinn:partytype"
AUTH_LEVEL = "urn:altinn:authlevel"
SESSION_ID = "urn:altinn:sessionid"
SCOPE = "urn:scope"

MINIMUM_LEVEL = "urn:altinn:minimum-authenticationlevel"
MINIMUM_LEVEL_ORG = "urn:altinn:minimum-authenticationlevel-org"

FAULT_HEADER = "X-Authz-Fault"
VERSION_HEADER = "X-Authz-Version"
"""In an answer to a write: the version of the state that holds it. In a question: decide on none older than this."""
MAX_SUB_REQUESTS = 5000


# --- The JSON profile of XACML 3.0, as requests are written ---------------------------------------------------------


class Attribute(msgspec.Struct, rename="pascal", frozen=True, omit_defaults=True):
    """One attribute of a request; several with the same id make a bag."""

    attribute_id: str
    value: str | list[str]
    include_in_result: bool = False
    data_type: str | None = None
    issuer: str | None = None


class Category(msgspec.Struct, rename="pascal", frozen=True, omit_defaults=True):
    """One group of attributes; `id` is what a request reference names."""

    attribute: list[Attribute]
    id: str | None = None


class RequestReference(msgspec.Struct, rename="pascal", frozen=True):
    """One sub-request: the ids of its categories."""

    reference_id: list[str]


class MultiRequests(msgspec.Struct, rename="pascal", frozen=True):
    """The sub-requests, answered in this order."""

    request_reference: list[RequestReference]


class Request(msgspec.Struct, rename="pascal", frozen=True, omit_defaults=True):
    """A request for one or many decisions."""

    access_subject: list[Category]
    action: list[Category]
    resource: list[Category]
    multi_requests: MultiRequests | None = None


class RequestBody(msgspec.Struct, rename="pascal", frozen=True):
    """The body of `POST /decision`."""

    request: Request


# --- The answer, in the camelCase of the app platform's routes ------------------------------------------------------


class AttributeAssignment(msgspec.Struct, rename="camel", frozen=True):
    """One value of an obligation or a piece of advice; always text."""

    attribute_id: str
    value: str
    category: str | None = None
    data_type: str | None = None
    issuer: str | None = None


class Obligation(msgspec.Struct, rename="camel", frozen=True):
    """What the asker must see to before it lets the caller through."""

    id: str
    attribute_assignment: list[AttributeAssignment] | None = None


class ResultAttribute(msgspec.Struct, rename="camel", frozen=True):
    """An attribute of the request that was to be included in the result."""

    attribute_id: str
    value: str
    data_type: str | None = None
    issuer: str | None = None
    include_in_result: bool = False


class ResultCategory(msgspec.Struct, rename="camel", frozen=True):
    """The included attributes of one category."""

    category_id: str
    id: str | None = None
    attribute: list[ResultAttribute] | None = None


class StatusCode(msgspec.Struct, rename="camel", frozen=True):
    """A status code of XACML 3.0, possibly with a finer one inside."""

    value: str
    status_code: StatusCode | None = None


class Status(msgspec.Struct, rename="camel", frozen=True):
    """How the evaluation went."""

    status_code: StatusCode | None = None
    status_message: str | None = None


class Result(msgspec.Struct, rename="camel", frozen=True):
    """One decision."""

    decision: Literal["Permit", "Deny", "NotApplicable", "Indeterminate"]
    status: Status | None = None
    obligations: list[Obligation] | None = None
    category: list[ResultCategory] | None = None


class Response(msgspec.Struct, rename="camel", frozen=True):
    """The answer to `POST /decision`, in the order of the request references."""

    response: list[Result]


# --- Facts, for enforcement points that decide in their own process -------------------------------------------------


class AttributePair(msgspec.Struct, rename="camel", frozen=True):
    """An attribute id and its value."""

    id: str
    value: str


class AccessListGrant(msgspec.Struct, rename="camel", frozen=True):
    """One access list of an app: its members by party id, and the actions it is for (None: all)."""

    members: tuple[int, ...]
    actions: tuple[str, ...] | None = None


class AccessLimit(msgspec.Struct, rename="camel", frozen=True):
    """The app is only for parties on its access lists."""

    lists: tuple[AccessListGrant, ...]


class PolicyFacts(msgspec.Struct, rename="camel", frozen=True):
    """The policy in force for an app: its XML (base64 on the wire), version number and the SHA-256 of its bytes.

    `limit` is there when the app is only for parties on its access lists.
    """

    org: str
    app: str
    version: int
    digest: str
    xml: bytes
    limit: AccessLimit | None = None


class SubjectRef(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """Who is asked about: one of these; `party_id` may stand beside `user_id`."""

    user_id: int | None = None
    party_id: int | None = None
    party_uuid: str | None = None
    system_user_id: str | None = None
    org_number: str | None = None


class DelegatedRight(msgspec.Struct, rename="camel", frozen=True):
    """A right someone was given: an action on resources whose attributes all have these values."""

    id: str
    resource: list[AttributePair]
    action: str
    instance_id: str | None = None
    valid_to: datetime | None = None


class SubjectFacts(msgspec.Struct, rename="camel", frozen=True):
    """What holds between a subject and one party.

    `attributes` are added to the subject (roles, access packages, the organisations it acts for). `max_age_ms` bounds
    how long they may be kept: some sources cannot announce their changes. `main_party_id` is the party's main unit,
    whose delegations are in force here too, so that its changes are also this party's.
    """

    party_id: int
    attributes: list[AttributePair]
    rights: list[DelegatedRight]
    max_age_ms: int
    main_party_id: int | None = None


class FactsQuery(msgspec.Struct, rename="camel", frozen=True):
    """The body of `POST /facts/subjects`: one subject, at most 1,000 parties, optionally for one app's rights only."""

    subject: SubjectRef
    parties: list[int]


class Change(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """One line of the event stream: what must no longer be believed.

    `policy` names an app; `facts` names a party whose relations changed; `all` means everything; `alive` nothing.
    Whoever has taken in a line with `version` knows of every change up to that version of the state.
    """

    kind: Literal["policy", "facts", "all", "alive"]
    org: str | None = None
    app: str | None = None
    party_id: int | None = None
    version: int | None = None


# --- Policies -------------------------------------------------------------------------------------------------------


class PolicyVersion(msgspec.Struct, rename="camel", frozen=True):
    """One published version of an app's policy."""

    org: str
    app: str
    version: int
    digest: str
    published: datetime
    published_by: str
    active: bool
    release: str | None = None


class PolicyFinding(msgspec.Struct, rename="camel", frozen=True):
    """What is wrong or doubtful in a policy, and where."""

    severity: Literal["error", "warning", "note"]
    code: str
    message: str
    line: int | None = None
    rule_id: str | None = None


class Published(msgspec.Struct, rename="camel", frozen=True):
    """The answer to publishing a policy."""

    policy: PolicyVersion
    findings: list[PolicyFinding]


class Activation(msgspec.Struct, rename="camel", frozen=True):
    """The body of activating an earlier version: why, for the record."""

    reason: str | None = None


# --- Roles and delegations ------------------------------------------------------------------------------------------


class Role(msgspec.Struct, rename="camel", frozen=True):
    """A role code someone holds for a party, in the form of the roles route."""

    type: str
    value: str


class Receiver(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """To whom something is delegated: a person's user, a party, or a system user. Exactly one."""

    user_id: int | None = None
    party_id: int | None = None
    system_user_id: str | None = None


class Grant(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """A delegation to give: a right (`action` on `resource`), a role or an access package, for one party.

    `further` says how many times it may be passed on (0: not at all).
    """

    from_party_id: int
    to: Receiver
    resource: list[AttributePair] | None = None
    action: str | None = None
    role: str | None = None
    access_package: str | None = None
    instance_id: str | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    further: int = 0
    reason: str | None = None


class Delegation(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A delegation as it stands."""

    id: str
    from_party_id: int
    to: Receiver
    kind: Literal["right", "role", "accessPackage"]
    resource: list[AttributePair] | None = None
    action: str | None = None
    role: str | None = None
    access_package: str | None = None
    instance_id: str | None = None
    valid_from: datetime
    valid_to: datetime | None = None
    further: int
    depth: int
    parent: str | None = None
    given: datetime
    given_by: str
    revoked: datetime | None = None
    revoked_by: str | None = None
    reason: str | None = None


# --- Decision log ---------------------------------------------------------------------------------------------------


class LoggedDecision(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """One decision as an enforcement point reports it; the log keeps the subject only as a keyed pseudonym.

    `attributes` holds what was decided on beside identities, so that it can be decided again under another policy.
    `count` is how many identical outcomes one call had.
    """

    at: datetime
    subject: str
    org: str
    app: str
    action: str
    decision: Literal["Permit", "Deny", "NotApplicable", "Indeterminate"]
    party_id: int | None = None
    instance_id: str | None = None
    task: str | None = None
    end_event: str | None = None
    rule: str | None = None
    policy_version: int | None = None
    micros: int = 0
    count: int = 1
    trace_id: str | None = None
    attributes: list[AttributePair] | None = None


class LogBatch(msgspec.Struct, rename="camel", frozen=True):
    """The body of `POST /decisions/log`; `dropped` decisions were made while the sender's buffer was full."""

    decisions: list[LoggedDecision]
    dropped: int = 0
