"""A user's profile put together: the user and party from Register, the rest from here; and who may read it."""

from __future__ import annotations

from uuid import UUID

import msgspec

from havn.clients.credentials import Credentials
from havn.clients.register import RegisterClient
from havn.contracts.profile import ProfileSettings, SettingsPatch, SettingsPut, UserProfile, UserType
from havn.contracts.register import Party, PartyType, User, UserQuery
from havn.guard.platform_token import PlatformTokenSigner
from havn.guard.principal import Kind, Principal
from havn.kit.clock import Clock
from havn.kit.problem import Problem
from havn.platform.profile.store import Contact, Preferences, Store

READ_SCOPE = "havn:profile/read"
_LANGUAGES = {"nb": "nb", "nn": "nn", "en": "en"}


class Profiles:
    """Reads and changes profiles."""

    def __init__(self, store: Store, register: RegisterClient, signer: PlatformTokenSigner, clock: Clock) -> None:
        self._store = store
        self._register = register
        self._signer = signer
        self._clock = clock

    async def find(self, who: UserQuery) -> UserProfile | None:
        """The profile of a user, or None. 503 when Register is away: an outage is never "no such user"."""
        user = await self._register.user(who, self._credentials())
        return None if user is None else await self._profile(user)

    async def find_for(self, who: UserQuery, reader: Principal) -> UserProfile | None:
        """As `find`, if `reader` may read it; 403 otherwise.

        A person may read themselves, and a user with whom they share a party; a service owner with the scope anybody.
        """
        if reader.kind is Kind.USER and who.user_id is not None and who.user_id == reader.user_id:
            return await self.find(who)
        if reader.kind is Kind.SERVICE_OWNER and READ_SCOPE in reader.scopes:
            return await self.find(who)
        if reader.kind is not Kind.USER or reader.party_id is None:
            raise _refused()
        user = await self._register.user(who, self._credentials())
        # The same answer for a foreign user and for none, so that ids cannot be probed.
        if user is None or not await self._share_a_party(reader, user):
            raise _refused()
        return await self._profile(user)

    async def put_settings(self, user_id: int, party_id: int, new: SettingsPut) -> ProfileSettings:
        """Replace a user's preferences."""
        patch = SettingsPatch(
            language=new.language,
            do_not_prompt_for_party=new.do_not_prompt_for_party,
            show_client_units=new.show_client_units,
            should_show_sub_entities=new.should_show_sub_entities,
            should_show_deleted_entities=new.should_show_deleted_entities,
            preselected_party_uuid=new.preselected_party_uuid,
        )
        return await self.patch_settings(user_id, party_id, patch)

    async def patch_settings(self, user_id: int, party_id: int, patch: SettingsPatch) -> ProfileSettings:
        """Change some of a user's preferences. 400 for an unknown language, 403 for a party that is not theirs."""
        changes = {name: value for name, value in msgspec.structs.asdict(patch).items() if value is not msgspec.UNSET}
        if "language" in changes:
            language = _LANGUAGES.get(str(changes["language"]).lower())
            if language is None:
                raise Problem(400, "language must be nb, nn or en.", code="invalid_language")
            changes["language"] = language
        if chosen := changes.get("preselected_party_uuid"):
            changes["preselected_party_uuid"] = uuid(str(chosen))
            await self.require_representable(party_id, changes["preselected_party_uuid"])
        return await self._settings(party_id, await self._store.change(user_id, changes, self._clock()))

    async def require_representable(self, subject_party: int, party_uuid: str) -> None:
        """403 unless the party is one that `subject_party` may represent."""
        if await self._represented(subject_party, party_uuid) is None:
            raise Problem(403, "You may not represent this party.", code="party_not_yours")

    async def _profile(self, user: User) -> UserProfile:
        preferences, contact = await self._store.user(user.user_id)
        return _assemble(user, contact, await self._settings(user.party.party_id, preferences))

    async def _settings(self, party_id: int, preferences: Preferences) -> ProfileSettings:
        chosen = preferences.preselected_party_uuid
        party = await self._represented(party_id, chosen) if chosen else None
        return ProfileSettings(
            language=preferences.language,
            pre_selected_party_id=party.party_id if party else 0,
            do_not_prompt_for_party=preferences.do_not_prompt_for_party,
            preselected_party_uuid=chosen if party else None,
            show_client_units=preferences.show_client_units,
            should_show_sub_entities=preferences.should_show_sub_entities,
            should_show_deleted_entities=preferences.should_show_deleted_entities,
            preselected_party_unavailable=chosen is not None and party is None,
        )

    async def _represented(self, subject_party: int, party_uuid: str) -> Party | None:
        found = await self._register.party_list_by_uuid([party_uuid], self._credentials())
        if not found or found[0].is_deleted:
            return None
        if found[0].party_id == subject_party:
            return found[0]
        roles = await self._register.roles_for(subject_party, found[0].party_id, self._credentials())
        return found[0] if roles else None

    async def _share_a_party(self, reader: Principal, user: User) -> bool:
        assert reader.party_id is not None
        mine = await self._register.represented_by(reader.party_id, self._credentials())
        theirs = await self._register.represented_by(user.party.party_id, self._credentials())
        return bool(_ids(mine.data) & _ids(theirs.data))

    def _credentials(self) -> Credentials:
        return Credentials(platform_token=self._signer.token())


def uuid(text: str) -> str:
    """`text` as a uuid in its usual form; 400 when it is none."""
    try:
        return str(UUID(text))
    except ValueError:
        raise Problem(400, "A party uuid is not valid.", code="invalid_uuid") from None


def _ids(parties: list[Party]) -> set[int]:
    found = {party.party_id for party in parties if not party.only_hierarchy_element_with_no_access}
    return found | {child.party_id for party in parties for child in party.child_parties or ()}


def _assemble(user: User, contact: Contact, settings: ProfileSettings) -> UserProfile:
    person = user.party.party_type_name is PartyType.PERSON
    return UserProfile(
        user_id=user.user_id,
        user_uuid=user.party.party_uuid,
        user_name=user.username or "",
        external_identity=user.external_identity or "",
        is_reserved=contact.is_reserved,
        phone_number=contact.phone_number,
        email=contact.email,
        party_id=user.party.party_id,
        party=user.party,
        user_type=UserType.SSN_IDENTIFIED if person else UserType.SELF_IDENTIFIED,
        profile_setting_preference=settings,
    )


def _refused() -> Problem:
    return Problem(403, "You may not read this profile.", code="profile_not_yours")
