"""What the simulated service holds: buckets with their objects, uploads and batches, and tasks."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

_ALPHABET = string.ascii_lowercase + string.digits
BLOB_TYPES = frozenset({"text", "image", "audio", "video", "pdf", "excel"})
TIER_BYTES: Mapping[str, int] = {"free": 100 * 1024**2, "pro": 5 * 1024**3, "enterprise": 50 * 1024**3}
INLINE_BYTES: Mapping[str, int] = {"free": 5 * 1024**2, "pro": 10 * 1024**2, "enterprise": 50 * 1024**2}
DRAFT_SECONDS = 30 * 60.0
"""How long a batch may stay a draft."""


def token(prefix: str, length: int) -> str:
    """Return a new identifier as the vendor forms them."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def told(at: float) -> str:
    """Return a time as it stands in answers."""
    return datetime.fromtimestamp(at, UTC).isoformat()


@dataclass
class Upload:
    """One upload: announced, filled by a PUT, confirmed."""

    record: dict[str, Any]
    signature: str
    content: bytes | None = None


@dataclass
class Batch:
    """One batch; its record is what the service answers."""

    record: dict[str, Any]
    created_at: float
    submitted_at: float | None = None
    submit_requests: int = 0
    """How often somebody asked to submit it."""


@dataclass
class Task:
    """Something that is done in the background: at `ready_at`, by `work`, which returns its last status."""

    record: dict[str, Any]
    ready_at: float
    work: Any


@dataclass
class Bucket:
    """One bucket of a namespace."""

    record: dict[str, Any]
    namespace: str
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    created_at: dict[str, float] = field(default_factory=dict)
    contents: dict[tuple[str, str], bytes] = field(default_factory=dict)
    """Bytes by object id and blob id."""
    uploads: dict[str, Upload] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)

    @property
    def properties(self) -> Mapping[str, Mapping[str, Any]]:
        """The properties of its schema."""
        schema = self.record.get("bucket_schema") or {}
        properties: Mapping[str, Mapping[str, Any]] = schema.get("properties") or {}
        return properties

    @property
    def unique_fields(self) -> list[str]:
        """The fields of its unique key; empty without one."""
        return list((self.record.get("unique_key") or {}).get("fields") or ())
