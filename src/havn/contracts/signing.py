"""Wire types of the Storage API for signing data elements: what is asked for, and the document that is kept."""

from __future__ import annotations

from datetime import datetime

from havn.contracts.application import Wire, always


class Signee(Wire, frozen=True, kw_only=True):
    """Who signed."""

    user_id: str | None = None
    system_user_id: str | None = None
    person_number: str | None = None
    organisation_number: str | None = None


class DataElementSignature(Wire, frozen=True, kw_only=True):
    """An element that was, or was not, signed."""

    data_element_id: str
    signed: bool = always(False)


class SignRequest(Wire, frozen=True, kw_only=True):
    """What to sign, as whom, and the type of the document that says so."""

    signature_document_data_type: str
    generated_from_task: str | None = None
    data_element_signatures: list[DataElementSignature] = always([])
    signee: Signee | None = None


class SignedDataElement(Wire, frozen=True, kw_only=True):
    """An element's hash at the moment of signing."""

    data_element_id: str
    sha256_hash: str
    signed: bool = always(False)


class SignDocument(Wire, frozen=True, kw_only=True):
    """The signature document, stored as a locked data element."""

    id: str
    instance_guid: str
    signed_time: datetime
    signee_info: Signee
    data_element_signatures: list[SignedDataElement] = always([])
