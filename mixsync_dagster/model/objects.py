"""Objects of a bucket: drafts before they exist, what was placed, what is stored, and batches of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from mixsync_dagster.model.items import SourceItem


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """Bytes that the bucket holds, named by what they are."""

    sha256: str
    """64 lower-case hex digits."""
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Blob:
    """One payload of an object: which property it fills and which bytes it is."""

    property: str
    type: str
    """image, video, audio, text, pdf or excel; `binary` where the type was not asked for."""
    filename: str
    mime_type: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Draft:
    """An object before it exists in the bucket: its identity, fields and blobs whose bytes the bucket already holds."""

    object_id: str
    bucket_id: str
    source_provider: str
    item: SourceItem
    fields: Mapping[str, Any]
    blobs: Sequence[Blob]


class PutStatus(StrEnum):
    """What putting a draft did."""

    CREATED = "created"
    REPLACED = "replaced"
    ALREADY_PRESENT = "already_present"
    """The very same version was there: a repeat after a crash."""
    DUPLICATE = "duplicate"
    """The same bytes exist under another identity and the sync skips duplicates; nothing was created."""


@dataclass(frozen=True, slots=True)
class PutResult:
    """What became of one draft. `object_id` is the existing object's for DUPLICATE."""

    draft: Draft
    status: PutStatus
    object_id: str
    remote_object_id: str | None = None
    """The destination's own id where it does not take ours."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the catalog tells it; the JSON form has the same names."""

    object_id: str
    bucket_id: str
    source_provider: str
    source_object_id: str
    source_path: str
    version: str
    state: str
    """`active`, or `tombstoned` once its item is gone and its bytes wait for the grace period."""
    fields: Mapping[str, Any]
    blobs: Sequence[Blob]
    batch_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BatchMember:
    """One object version inside a batch."""

    object_id: str
    version: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Objects handed over for processing together. `state`: sealed, submitted or failed."""

    batch_id: str
    sync_config_id: str
    bucket_id: str
    size: int
    state: str
    task_id: str | None
    created_at: datetime
    submitted_at: datetime | None
    remote_batch_id: str | None = None
    """What another service calls it; None in an embedded bucket."""
    task_status: str | None = None
    """How its processing goes there, in that service's word; None: nobody has asked yet, or an embedded bucket."""
    task_error: str | None = None
    """Why its processing failed there."""


@dataclass(frozen=True, slots=True)
class SubmittedBatch:
    """The destination's answer to a submission; the same for a repeat with the same idempotency key."""

    batch_id: str
    task_id: str | None
