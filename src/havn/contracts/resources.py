"""Wire types of the resource registry, and how a resource's id is also the address of its policy."""

from __future__ import annotations

from typing import Literal

import msgspec

from havn.contracts.authorization import AttributePair

REGISTERED = "resource:"
"""What the names of policies of resources that are no apps begin with; no app can be called so."""
PLATFORM_OWNER = "platform"
"""Owner of the platform's own resources, about which every app may ask."""

ResourceType = Literal[
    "Default", "Systemresource", "MaskinportenSchema", "Altinn2Service", "AltinnApp", "GenericAccessResource",
    "BrokerService", "CorrespondenceService", "Consent", "MigratedApp",
]  # fmt: skip


class ContactPoint(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """Where to ask about a resource."""

    category: str | None = None
    email: str | None = None
    telephone: str | None = None
    contact_page: str | None = None


class ResourceReference(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """What a resource is called elsewhere."""

    reference_source: str | None = None
    reference: str | None = None
    reference_type: str | None = None


class CompetentAuthority(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """The owner: organisation number and owner code."""

    name: dict[str, str] | None = None
    organization: str | None = None
    orgcode: str | None = None


class Keyword(msgspec.Struct, rename="camel", frozen=True, omit_defaults=True):
    """A word to find a resource by."""

    word: str
    language: str | None = None


class ServiceResource(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    """A resource as the registry tells it; texts by language (`nb`, `nn`, `en`).

    `version_id` counts every change of any resource; it is set by the registry, as is `access_list_mode` of an app.
    """

    identifier: str
    version: str | None = None
    version_id: int | None = None
    title: dict[str, str] | None = None
    description: dict[str, str] | None = None
    right_description: dict[str, str] | None = None
    homepage: str | None = None
    status: str | None = None
    contact_points: list[ContactPoint] | None = None
    resource_references: list[ResourceReference] | None = None
    delegable: bool = True
    visible: bool = True
    has_competent_authority: CompetentAuthority | None = None
    keywords: list[Keyword] | None = None
    access_list_mode: Literal["Disabled", "Enabled"] = "Disabled"
    self_identified_user_enabled: bool = False
    enterprise_user_enabled: bool = False
    resource_type: ResourceType | None = None
    available_for_type: list[str] | None = None
    authorization_reference: list[AttributePair] | None = None


class ResourceUrn(msgspec.Struct, frozen=True):
    """An attribute in parts and whole."""

    type: str
    value: str
    urn: str

    @classmethod
    def of(cls, type_: str, value: str) -> ResourceUrn:
        """From its parts."""
        return cls(type_, value, f"{type_}:{value}")


class SubjectResources(msgspec.Struct, frozen=True):
    """The resources whose policies permit a subject something."""

    subject: ResourceUrn
    resources: list[ResourceUrn]


def app_of(resource_id: str) -> tuple[str, str] | None:
    """Org and app of `app_{org}_{app}`; None for another resource. An app's name may hold an underscore."""
    parts = resource_id.split("_", 2)
    return (parts[1], parts[2]) if len(parts) == 3 and parts[0] == "app" else None


def resource_id(org: str, name: str) -> str:
    """The resource id of a policy's address."""
    return name.removeprefix(REGISTERED) if name.startswith(REGISTERED) else f"app_{org}_{name}"


def registered_name(id_: str) -> str:
    """The name under which its owner's policy for a resource that is no app is kept."""
    return REGISTERED + id_
