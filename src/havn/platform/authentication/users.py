"""Who signed in: the user behind what an identity provider says, found or made in the register."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from havn.clients.credentials import Credentials
from havn.clients.profile import ProfileClient
from havn.clients.register import RegisterClient
from havn.contracts.profile import UserProfile
from havn.contracts.register import NewSelfIdentifiedUser, UserQuery
from havn.engines.identifiers import person_number_fault
from havn.guard.platform_token import PlatformTokenSigner
from havn.kit.problem import Problem
from havn.platform.authentication.levels import EMAIL_ACR
from havn.platform.authentication.settings import Provider
from havn.platform.authentication.upstream import Identity

_EMAIL = "urn:altinn:person:idporten-email:"


class KnownUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user, and the party to act for at first."""

    user_id: int
    party_id: int
    party_uuid: str
    username: str | None
    external_identity: str | None
    email: str | None
    selected_party_id: int
    selected_party_uuid: str | None


class Users:
    """Finds users by asking profile and register with this component's own token."""

    def __init__(self, profile: ProfileClient, register: RegisterClient, signer: PlatformTokenSigner) -> None:
        self._profile = profile
        self._register = register
        self._signer = signer

    async def signed_in(self, provider_key: str, provider: Provider, identity: Identity) -> KnownUser:
        """The user for an identity. 403 when nobody is known by it, or the number is not allowed here."""
        claims = identity.claims
        pid = _text(claims, "pid")
        if provider.require_synthetic_pid and (pid is None or person_number_fault(pid, "test") is not None):
            raise Problem(403, "Only synthetic persons may sign in here.", code="not_synthetic")
        if provider.external_identity_claim is not None:
            value = _text(claims, provider.external_identity_claim)
            if value is None:
                raise Problem(403, "The identity provider did not say who you are.", code="identity_missing")
            return await self._self_identified(f"{provider_key}:{value}", f"{provider_key}_{value}", None)
        if identity.acr == EMAIL_ACR:
            email = (_text(claims, "email") or "").strip().lower()
            if "@" not in email:
                raise Problem(403, "The identity provider did not say your e-mail address.", code="identity_missing")
            return await self._self_identified(_EMAIL + quote(email, safe=""), f"epost:{email}", email)
        if pid is None:
            raise Problem(403, "The identity provider did not say who you are.", code="identity_missing")
        return _known(await self.by_number(pid))

    async def by_number(self, pid: str) -> UserProfile:
        """The profile of a person; 403 `unknown_person` when there is none."""
        profile = await self._profile.internal_user(UserQuery(ssn=pid), self._credentials())
        if profile is None:
            raise Problem(403, "You are not registered as a user here.", code="unknown_person")
        return profile

    async def _self_identified(self, identity: str, username: str, email: str | None) -> KnownUser:
        if len(identity) > 400 or len(username) > 200:
            raise Problem(403, "The identity provider's name for you is too long.", code="identity_missing")
        await self._register.create_user(
            NewSelfIdentifiedUser(external_identity=identity, username=username, email=email), self._credentials()
        )
        profile = await self._profile.internal_user(UserQuery(external_identity=identity), self._credentials())
        if profile is None:
            raise Problem(500, "The user could not be made.", code="user_not_provisioned")
        return _known(profile, email)

    def _credentials(self) -> Credentials:
        return Credentials(platform_token=self._signer.token())


def _known(profile: UserProfile, email: str | None = None) -> KnownUser:
    preference = profile.profile_setting_preference
    chosen = preference.pre_selected_party_id
    return KnownUser(
        user_id=profile.user_id,
        party_id=profile.party_id,
        party_uuid=profile.user_uuid,
        username=profile.user_name or None,
        external_identity=profile.external_identity or None,
        email=email,
        selected_party_id=chosen or profile.party_id,
        selected_party_uuid=preference.preselected_party_uuid if chosen else profile.user_uuid,
    )


def _text(claims: dict[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) and value else None
