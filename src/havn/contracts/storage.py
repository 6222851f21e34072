"""Wire types of the Storage API: instances, data elements, process, events, locks, queries.

Members that have no value are left out when written, except in `QueryResponse`, whose clients expect nulls.
Unknown members are ignored when read. Times are UTC. Application metadata is in
`havn.contracts.application` and offered here too.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypeAlias

import msgspec

from havn.contracts import application
from havn.contracts.application import Wire, always

Application = application.Application
ApplicationList = application.ApplicationList
AppLogic = application.AppLogic
DataField = application.DataField
DataType = application.DataType
TextResource = application.TextResource
TextResourceElement = application.TextResourceElement
TextVariable = application.TextVariable

ReadStatus: TypeAlias = Literal["Unread", "Read", "UpdatedSinceLastReview"]
FileScanResult: TypeAlias = Literal["NotApplicable", "Pending", "Clean", "Infected"]

READ_STATUSES: tuple[ReadStatus, ...] = ("Unread", "Read", "UpdatedSinceLastReview")

COMPLETE = "CompleteCurrentMoveToNext"
ABANDON = "AbandonCurrentMoveToNext"
"""Flow types of a process move: the current task was done, or given up (reject)."""

EVENT_TYPES = (
    "None",
    "Created",
    "Saved",
    "Submited",
    "Deleted",
    "Undeleted",
    "ConfirmedComplete",
    "SubstatusUpdated",
    "process_StartEvent",
    "process_EndEvent",
    "process_StartTask",
    "process_EndTask",
    "process_AbandonTask",
    "Signed",
    "SentToSign",
    "SentToPayment",
    "SentToSendIn",
    "SentToFormFill",
    "InstanceForwarded",
    "InstanceRightRevoked",
    "NotificationSentSms",
    "MessageArchived",
    "MessageRead",
)
"""Names of instance events, spelt as the field spells them."""

LOCK_TOKEN_HEADER = "Altinn-Storage-Lock-Token"  # noqa: S105 - a header's name
IDEMPOTENCY_HEADER = "Idempotency-Key"
OWNER_IDENTIFIER_HEADER = "X-Ai-InstanceOwnerIdentifier"


# --- Process --------------------------------------------------------------------------------------------------------


class ValidationStatus(Wire, frozen=True, kw_only=True):
    """Obsolete; kept as it came."""

    timestamp: datetime | None = None
    can_complete_task: bool = always(False)


class ProcessElementInfo(Wire, frozen=True, kw_only=True):
    """The task an instance stands in."""

    flow: int | None = None
    started: datetime | None = None
    element_id: str | None = None
    name: str | None = None
    altinn_task_type: str | None = None
    ended: datetime | None = None
    validated: ValidationStatus | None = None
    flow_type: str | None = None


class ProcessState(Wire, frozen=True, kw_only=True):
    """How far an instance has come; ended when `ended` is set."""

    started: datetime | None = None
    start_event: str | None = None
    current_task: ProcessElementInfo | None = None
    ended: datetime | None = None
    end_event: str | None = None


class PlatformUser(Wire, frozen=True, kw_only=True):
    """Who did something."""

    user_id: int | None = None
    org_id: str | None = None
    authentication_level: int = always(0)
    end_user_system_id: int | None = None
    national_identity_number: str | None = None
    system_user_id: str | None = None
    system_user_owner_org_no: str | None = None
    system_user_name: str | None = None


class InstanceEvent(Wire, frozen=True, kw_only=True):
    """Something that happened to an instance. `instanceId` is `{partyId}/{guid}`."""

    id: str | None = None
    instance_id: str | None = None
    data_id: str | None = None
    created: datetime | None = None
    event_type: str | None = None
    instance_owner_party_id: str | None = None
    user: PlatformUser | None = None
    related_user: PlatformUser | None = None
    process_info: ProcessState | None = None
    additional_info: str | None = None


class InstanceEventList(Wire, frozen=True, kw_only=True):
    """Events, oldest first."""

    instance_events: list[InstanceEvent] = always([])


class ProcessStateUpdate(Wire, frozen=True, kw_only=True):
    """A move of the process together with its events: both are written, or neither."""

    state: ProcessState | None = None
    events: list[InstanceEvent] = always([])


class ProcessHistoryItem(Wire, frozen=True, kw_only=True):
    """One step of the process; `occured` is spelt so."""

    event_type: str | None = None
    element_id: str | None = None
    occured: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    performed_by: str | None = None


class ProcessHistoryList(Wire, frozen=True, kw_only=True):
    """The steps, oldest first."""

    process_history: list[ProcessHistoryItem] = always([])


class AuthInfo(Wire, frozen=True, kw_only=True):
    """What a decision about an instance needs to know of it."""

    process: ProcessState | None = None
    app_id: str


# --- Data elements --------------------------------------------------------------------------------------------------


class ResourceLinks(Wire, frozen=True, kw_only=True):
    """Addresses of the same thing at the app and at the platform."""

    apps: str | None = None
    platform: str | None = None


class KeyValueEntry(Wire, frozen=True, kw_only=True):
    """One entry of an element's metadata."""

    key: str
    value: str


class DeleteStatus(Wire, frozen=True, kw_only=True):
    """An element marked as deleted, to be removed later."""

    is_hard_deleted: bool = always(False)
    hard_deleted: datetime | None = None


class Reference(Wire, frozen=True, kw_only=True):
    """What an element was made from."""

    value: str | None = None
    relation: Literal["GeneratedFrom"] = always("GeneratedFrom")
    value_type: Literal["DataElement", "Task"] = always("Task")


class DataElement(Wire, frozen=True, kw_only=True):
    """The metadata of one file or form of an instance.

    `version` counts up with every change, of content or metadata, and is the element's ETag; `contentHash` is the
    SHA-256 of the content in lower-case hex.
    """

    id: str | None = None
    instance_guid: str | None = None
    data_type: str | None = None
    filename: str | None = None
    content_type: str | None = None
    blob_storage_path: str | None = None
    self_links: ResourceLinks | None = None
    size: int = always(0)
    content_hash: str | None = None
    locked: bool = always(False)
    refs: list[str] = always([])
    is_read: bool = always(True)
    tags: list[str] = always([])
    user_defined_metadata: list[KeyValueEntry] | None = None
    metadata: list[KeyValueEntry] | None = None
    delete_status: DeleteStatus | None = None
    file_scan_result: FileScanResult = always("NotApplicable")
    references: list[Reference] | None = None
    created: datetime | None = None
    created_by: str | None = None
    last_changed: datetime | None = None
    last_changed_by: str | None = None
    version: int | None = None


class DataElementList(Wire, frozen=True, kw_only=True):
    """The elements of an instance, oldest first."""

    data_elements: list[DataElement] = always([])


class FileScanStatus(Wire, frozen=True, kw_only=True):
    """A malware scanner's verdict."""

    content_hash: str | None = None
    file_scan_result: FileScanResult


# --- Instances ------------------------------------------------------------------------------------------------------


class InstanceOwner(Wire, frozen=True, kw_only=True):
    """The party an instance belongs to."""

    party_id: str | None = None
    person_number: str | None = None
    organisation_number: str | None = None
    username: str | None = None
    external_identifier: str | None = None


class Substatus(Wire, frozen=True, kw_only=True):
    """What the service owner wants shown beside the status; texts or text keys."""

    label: str | None = None
    description: str | None = None


class InstanceStatus(Wire, frozen=True, kw_only=True):
    """Archived, deleted, read."""

    is_archived: bool = always(False)
    archived: datetime | None = None
    is_soft_deleted: bool = always(False)
    soft_deleted: datetime | None = None
    is_hard_deleted: bool = always(False)
    hard_deleted: datetime | None = None
    read_status: ReadStatus = always("Unread")
    substatus: Substatus | None = None


class CompleteConfirmation(Wire, frozen=True, kw_only=True):
    """A stakeholder has fetched what it needs."""

    stakeholder_id: str
    confirmed_on: datetime


class Instance(Wire, frozen=True, kw_only=True):
    """One filled-in case of an app. `id` is `{partyId}/{guid}`; `version`, its ETag, counts up with every change."""

    id: str | None = None
    instance_owner: InstanceOwner | None = None
    app_id: str | None = None
    org: str | None = None
    self_links: ResourceLinks | None = None
    due_before: datetime | None = None
    visible_after: datetime | None = None
    process: ProcessState | None = None
    status: InstanceStatus | None = None
    complete_confirmations: list[CompleteConfirmation] | None = None
    data: list[DataElement] = always([])
    presentation_texts: dict[str, str] | None = None
    data_values: dict[str, str] | None = None
    created: datetime | None = None
    created_by: str | None = None
    last_changed: datetime | None = None
    last_changed_by: str | None = None
    version: int | None = None

    @property
    def guid(self) -> str:
        """The part of the id that names the instance alone."""
        return (self.id or "").rpartition("/")[2]

    @property
    def party_id(self) -> int:
        """The owner's party id."""
        return int((self.id or "").partition("/")[0])

    def element(self, element_id: str) -> DataElement | None:
        """The data element with this id."""
        return next((each for each in self.data if each.id == element_id), None)


class PresentationTexts(Wire, frozen=True, kw_only=True):
    """Texts to merge in; null or empty removes the key."""

    texts: dict[str, str | None] | None = None


class DataValues(Wire, frozen=True, kw_only=True):
    """Values to merge in; null or empty removes the key."""

    values: dict[str, str | None] | None = None


class InstanceQuery(Wire, frozen=True, kw_only=True):
    """What `GET /instances` can be asked; times are `op:time` with op one of gt, gte, lt, lte, eq."""

    org: str | None = None
    app_id: str | None = None
    party_id: int | None = None
    owner_identifier: str | None = None
    """`Person:<number>` or `Organisation:<number>`; sent as a header."""
    current_task: str | None = None
    is_complete: bool | None = None
    ended: tuple[str, ...] = ()
    due_before: tuple[str, ...] = ()
    visible_after: tuple[str, ...] = ()
    created: tuple[str, ...] = ()
    last_changed: tuple[str, ...] = ()
    is_archived: bool | None = None
    is_soft_deleted: bool | None = None
    is_hard_deleted: bool | None = None
    confirmed: bool | None = None
    exclude_confirmed_by: str | None = None
    archive_reference: str | None = None
    """The last 12 hex digits of the instance's guid."""
    search_string: str | None = None
    order: Literal["asc:lastChanged", "desc:lastChanged"] | None = None
    size: int | None = None
    include_data_elements: bool | None = None
    continuation_token: str | None = None


class QueryResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One page. More follow as long as `next` is set, even when this page is short or empty."""

    count: int
    self_: str | None = msgspec.field(name="self")
    next: str | None
    instances: list[Instance]


# --- Locks ----------------------------------------------------------------------------------------------------------


class InstanceLockRequest(Wire, frozen=True, kw_only=True):
    """How long to hold the lock; 0 releases it."""

    ttl_seconds: int


class InstanceLockResponse(Wire, frozen=True, kw_only=True):
    """The secret that the holder shows."""

    lock_token: str
