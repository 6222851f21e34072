"""Who may ask what of authorization: components all, apps and people about themselves, owners about theirs."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from starlette.requests import Request

from havn.contracts import authorization as contract
from havn.contracts.authorization import SubjectRef
from havn.contracts.resources import PLATFORM_OWNER
from havn.guard.middleware import principal
from havn.guard.platform_token import HEADER, Caller, PlatformTokenVerifier, require_caller
from havn.guard.principal import Kind, Principal
from havn.kit.problem import Problem
from havn.platform.authorization.context import Completed

PLATFORM = "platform"
AUTHORIZE_SCOPES = ("altinn:authorization/authorize", "altinn:authorization/authorize.admin")
PUBLISHERS = frozenset({"deploy", "designer"})


class Asker(msgspec.Struct, frozen=True):
    """The component or app that asks, and the signed-in caller it may stand for."""

    caller: Caller | None
    principal: Principal

    @property
    def is_component(self) -> bool:
        """Whether a platform component asks."""
        return self.caller is not None and self.caller.org == PLATFORM

    def name(self) -> str:
        """For records: `storage`, `ttd/permit`, `user:1337`."""
        if self.caller is not None:
            return self.caller.app if self.is_component else f"{self.caller.org}/{self.caller.app}"
        who = self.principal
        return f"user:{who.user_id}" if who.user_id is not None else who.performed_by()


async def asker(request: Request, verifier: PlatformTokenVerifier) -> Asker:
    """Who asks; 401 without a platform token and without a signed-in caller."""
    who = principal(request)
    caller = await require_caller(request, verifier) if HEADER in request.headers else None
    if caller is None and not who.authenticated:
        raise Problem(
            401, "A platform token or a signed-in caller is needed.", code="not_signed_in",
            headers={"WWW-Authenticate": "Bearer"},
        )  # fmt: skip
    return Asker(caller, who)


def may_decide(who: Asker) -> Callable[[Completed], None]:
    """A check for each sub-request: components ask anything, apps about their owner's apps, people about themselves."""

    def check(asked: Completed) -> None:
        if who.is_component:
            return
        if who.caller is not None:
            if asked.resource.org not in (who.caller.org, PLATFORM_OWNER):
                raise Problem(403, "An app may ask only about its owner's apps.", code="foreign_org")
            return
        if not _is_self(who.principal, asked):
            raise Problem(403, "A caller may ask only about itself.", code="foreign_subject")

    return check


def _is_self(who: Principal, asked: Completed) -> bool:
    subject = asked.request.attributes.get(contract.SUBJECT, {})
    orgs = subject.get(contract.ORG, ())
    if any(org != who.org for org in orgs):
        return False
    if who.audience_org is not None and asked.resource.org not in (who.audience_org, PLATFORM_OWNER):
        return False
    names = {
        Kind.USER: f"user:{who.user_id}",
        Kind.SYSTEM_USER: f"systemuser:{who.system_user_id}",
        Kind.SERVICE_OWNER: f"org:{who.org}",
        Kind.ORG: f"organisation:{who.org_number}",
    }
    return asked.subject == names.get(who.kind)


def may_know(who: Asker, subject: SubjectRef) -> None:
    """403 unless facts about `subject` are the asker's business: a component's, or an app's that shows its token."""
    if who.is_component:
        return
    own = who.principal
    if (
        (subject.user_id is not None and subject.user_id == own.user_id and subject.party_id in (None, own.party_id))
        or (subject.system_user_id is not None and subject.system_user_id == own.system_user_id)
        or (
            subject.user_id is None
            and subject.party_id is not None
            and own.user_id is None
            and subject.party_id == own.party_id
        )
        or (subject.org_number is not None and subject.org_number == own.org_number)
    ):
        return
    raise Problem(403, "Facts about a subject are shown only to whoever holds its token.", code="foreign_subject")


def may_read_org(who: Asker, org: str, *scopes: str) -> None:
    """403 unless the asker is a component, that owner's app, or that owner (with one of `scopes`, where given)."""
    if who.is_component or (who.caller is not None and who.caller.org == org):
        return
    own = who.principal
    if own.kind is Kind.SERVICE_OWNER and own.org == org and (not scopes or own.has_scope(*scopes)):
        return
    raise Problem(403, f"Only {org} itself may see this.", code="forbidden")


def may_publish(who: Asker) -> None:
    """403 unless the control plane asks."""
    if who.is_component and who.caller is not None and who.caller.app in PUBLISHERS:
        return
    raise Problem(403, "Only the control plane publishes policies.", code="forbidden")
