"""Completing the subject of a request: exactly one identity, whom to fetch facts about, and its name for the log."""

from __future__ import annotations

import msgspec

from havn.contracts import authorization as contract
from havn.contracts.authorization import SubjectRef
from havn.engines.xacml import names
from havn.platform.authorization.bags import Bags, Unanswerable, known, number, single, uuid, with_values
from havn.platform.authorization.pip import InformationPoint

_NAMES = frozenset(
    {
        contract.PERSON_UUID,
        contract.USER_ID,
        contract.PARTY_ID,
        contract.SYSTEM_USER_UUID,
        contract.PERSON_NUMBER,
        contract.ORG_NUMBER,
        contract.ORG_NUMBER_OLD,
        contract.ORG,
    }
)
_HELD = frozenset(
    {
        contract.ROLE_CODE,
        contract.ACCESS_PACKAGE,
        "urn:altinn:role",
        "urn:altinn:external-role:ccr",
        "urn:altinn:external-role:cra",
        "urn:digitaltdodsbo:rolecode",
    }
)


class CompletedSubject(msgspec.Struct, frozen=True):
    """A subject; `ref` None when it has no relations to parties, `name` such as `user:1337`."""

    bags: Bags
    ref: SubjectRef | None
    name: str


async def complete(bags: Bags, information: InformationPoint) -> CompletedSubject:
    """The subject completed; `Unanswerable` when it is nobody known, or two at once."""
    # What somebody holds is for the sources to say, not for whoever asks.
    if not _HELD.isdisjoint(key for key in bags if isinstance(key, str)):
        bags = {key: bag for key, bag in bags.items() if key not in _HELD}
    given = single(bags, _NAMES)
    old = given.get(contract.ORG_NUMBER_OLD)
    if old is not None and contract.ORG_NUMBER not in given:
        given[contract.ORG_NUMBER] = old
        bags = with_values(bags, [(contract.ORG_NUMBER, old)])
    if (system_user := given.get(contract.SYSTEM_USER_UUID)) is not None:
        if len(bags) > 1:
            raise Unanswerable(names.PROCESSING_ERROR, "A system user must be the subject's only attribute.")
        ref = SubjectRef(system_user_id=uuid(system_user, "subject's uuid"))
        return CompletedSubject(bags, ref, f"systemuser:{ref.system_user_id}")
    if (person := given.get(contract.PERSON_NUMBER)) is not None:
        if contract.USER_ID in given:
            raise Unanswerable(names.PROCESSING_ERROR, "Give the subject a person number or a user id, not both.")
        who = await known(information.person(person))
        if who is None or who.user_id is None:
            raise Unanswerable(names.PROCESSING_ERROR, "The subject is not a known person.")
        kept: Bags = {key: bag for key, bag in bags.items() if key != contract.PERSON_NUMBER}
        bags = with_values(kept, [(contract.USER_ID, str(who.user_id))])
        return CompletedSubject(bags, SubjectRef(user_id=who.user_id, party_id=who.party_id), f"user:{who.user_id}")
    if (user := given.get(contract.USER_ID)) is not None:
        user_id = number(user, "subject's user id")
        return CompletedSubject(bags, SubjectRef(user_id=user_id), f"user:{user_id}")
    if (person_uuid := given.get(contract.PERSON_UUID)) is not None:
        found = uuid(person_uuid, "subject's uuid")
        return CompletedSubject(bags, SubjectRef(party_uuid=found), f"uuid:{found}")
    if (party := given.get(contract.PARTY_ID)) is not None:
        party_id = number(party, "subject's party id")
        return CompletedSubject(bags, SubjectRef(party_id=party_id), f"party:{party_id}")
    if (org := given.get(contract.ORG)) is not None:
        return CompletedSubject(bags, None, f"org:{org}")
    if (org_number := given.get(contract.ORG_NUMBER)) is not None:
        return CompletedSubject(bags, SubjectRef(org_number=org_number), f"organisation:{org_number}")
    return CompletedSubject(bags, None, "none")
