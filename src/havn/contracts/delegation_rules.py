"""Delegated rights in their older form, one rule for each right, and the record of what changed."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import Literal

import msgspec

from havn.contracts.authorization import AttributePair


class RuleType(enum.IntEnum):
    """How a rule came to whoever is asked about."""

    NONE = 0
    DIRECTLY_DELEGATED = 1
    INHERITED_VIA_KEY_ROLE = 2
    INHERITED_AS_SUBUNIT = 3
    INHERITED_AS_SUBUNIT_VIA_KEY_ROLE = 4


class DelegationRule(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A right given to one user or party: `covered_by` holds exactly one `urn:altinn:userid` or `urn:altinn:partyid`.

    `rule_id` is the delegation's id; empty on a rule that was not written.
    """

    rule_id: str | None = ""
    type: RuleType = RuleType.NONE
    created_successfully: bool = False
    delegated_by_user_id: int | None
    offered_by_party_id: int
    covered_by: list[AttributePair]
    resource: list[AttributePair]
    action: AttributePair


class RuleQuery(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Body of `GetRules`: rules from a party (or its main unit) to somebody, or to parties they have a key role in."""

    offered_by_party_id: int = 0
    parent_party_id: int = 0
    key_role_party_ids: list[int] = []
    resources: list[list[AttributePair]] = []
    covered_by: list[AttributePair] = []


class PolicyMatch(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """Rights to one app from one party to one receiver: what used to be one delegation policy file."""

    offered_by_party_id: int
    resource: list[AttributePair]
    covered_by: list[AttributePair]


class RulesToDelete(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """One entry of `DeleteRules` and, without `rule_ids`, of `DeletePolicy`."""

    deleted_by_user_id: int
    policy_match: PolicyMatch
    rule_ids: list[str] = []


class DelegationChange(msgspec.Struct, frozen=True, kw_only=True):
    """What changed: `i` change number, `a` app, `o` giver, `cp` or `cu` receiver, `u` by which user, `t` when."""

    i: int
    a: str
    o: int
    cp: int | None = None
    cu: int | None = None
    u: int | None = None
    t: datetime


class DelegationChangeEvent(msgspec.Struct, frozen=True):
    """A change and its kind `e`: 1 given, 2 taken back, 3 the last right to that app taken back."""

    e: Literal[1, 2, 3]
    d: DelegationChange


class DelegationChangeEvents(msgspec.Struct, frozen=True):
    """Changes in order."""

    l: list[DelegationChangeEvent]  # noqa: E741  # its name on the wire


class CurrentChange(msgspec.Struct, frozen=True, kw_only=True):
    """The last change of what one giver lets one receiver do with one resource, where some of it is in force.

    Names are lower case on the wire. `delegationchangetype` is 1 after something was given, 2 after something was taken
    back while other rights remain. The blob members are null: rights are rows, and no file holds them.
    """

    delegationchangeid: int
    resourceregistrydelegationchangeid: int
    delegationchangetype: Literal[1, 2]
    resourceid: str
    resourcetype: str
    instanceid: str | None
    offeredbypartyid: int
    fromuuid: str | None
    fromuuidtype: str | None
    coveredbypartyid: int | None
    coveredbyuserid: int | None
    touuid: str | None
    touuidtype: str | None
    performedbyuserid: int | None
    performedbypartyid: int | None = None
    performedbyuuid: str | None = None
    performedbyuuidtype: str | None = None
    blobstoragepolicypath: str | None = None
    blobstorageversionid: str | None = None
    created: datetime


class CurrentChangesQuery(msgspec.Struct, frozen=True):
    """Body of `getdelegationchanges`: what `party` lets `subject` do with a resource."""

    subject: AttributePair
    party: AttributePair
    resource: list[AttributePair]


class RolesAndPackages(msgspec.Struct, rename="camel", frozen=True):
    """What one party holds for another, as urns; a role from a register under its new and its old urn."""

    roles: list[str]
    access_packages: list[str]
