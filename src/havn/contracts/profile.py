"""Wire types of the Profile API: users, their preferences and their groups of parties."""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

from havn.contracts.register import Party


class UserType(enum.IntEnum):
    """How a user is known."""

    NONE = 0
    SSN_IDENTIFIED = 1
    SELF_IDENTIFIED = 2
    ENTERPRISE_IDENTIFIED = 3


class ProfileSettings(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user's preferences. The two spellings of "preselected" are the wire's own.

    `preselected_party_unavailable` is true when a party was chosen that the user may no longer represent; it is then
    answered as none.
    """

    language: Literal["nb", "nn", "en"] = "nb"
    pre_selected_party_id: int = 0
    do_not_prompt_for_party: bool = False
    preselected_party_uuid: str | None = None
    show_client_units: bool = False
    should_show_sub_entities: bool = True
    should_show_deleted_entities: bool = False
    preselected_party_unavailable: bool = False


class UserProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user with party, contact data and preferences."""

    user_id: int
    user_uuid: str
    user_name: str = ""
    external_identity: str = ""
    is_reserved: bool = False
    phone_number: str | None = None
    email: str | None = None
    party_id: int
    party: Party
    user_type: UserType
    profile_setting_preference: ProfileSettings


class SettingsPut(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of PUT `users/current/profilesettings`: all but the preselected party are required."""

    language: str
    do_not_prompt_for_party: bool
    show_client_units: bool
    should_show_sub_entities: bool
    should_show_deleted_entities: bool
    preselected_party_uuid: str | None = None


class SettingsPatch(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of PATCH `users/current/profilesettings`: what is absent stays; a null party clears it."""

    language: str | msgspec.UnsetType = msgspec.UNSET
    do_not_prompt_for_party: bool | msgspec.UnsetType = msgspec.UNSET
    show_client_units: bool | msgspec.UnsetType = msgspec.UNSET
    should_show_sub_entities: bool | msgspec.UnsetType = msgspec.UNSET
    should_show_deleted_entities: bool | msgspec.UnsetType = msgspec.UNSET
    preselected_party_uuid: str | msgspec.UnsetType | None = msgspec.UNSET


class PartyGroup(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user's named list of parties; one of them is the favourites."""

    group_id: int
    name: str
    is_favorite: bool
    parties: list[str]


class GroupName(msgspec.Struct, frozen=True, kw_only=True):
    """Body that makes or renames a group."""

    name: str
