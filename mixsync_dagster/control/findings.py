"""What `verify` tells: findings, and what to do about each kind."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of findings; scripts rely on the names."""

    OBJECT_MISSING = "object_missing"
    OBJECT_NOT_ACTIVE = "object_not_active"
    OBJECT_OF_ANOTHER = "object_of_another"
    VERSION_DIFFERS = "version_differs"
    IDENTITY_TWICE = "identity_twice"
    INVENTORY_MISSING = "inventory_missing"
    BLOB_MISSING = "blob_missing"
    BLOB_SIZE = "blob_size"
    BLOB_DAMAGED = "blob_damaged"
    CONTENT_UNRECORDED = "content_unrecorded"
    UNBATCHED = "unbatched"
    BATCH_DIFFERS = "batch_differs"
    BATCH_MISSING = "batch_missing"
    BATCH_SIZE = "batch_size"
    MEMBER_MISSING = "member_missing"
    MEMBER_NEWER = "member_newer"
    OUTBOX_MISSING = "outbox_missing"
    OUTBOX_LEFT = "outbox_left"
    MANIFEST_MISSING = "manifest_missing"
    INTENT_LEFT = "intent_left"
    LOCK_LEFT = "lock_left"
    DEAD_LETTER_STATE = "dead_letter_state"
    DEAD_LETTER_OPEN = "dead_letter_open"
    UNREFERENCED_BLOB = "unreferenced_blob"
    SOURCE_CREATE = "source_create"
    SOURCE_REPLACE = "source_replace"
    SOURCE_MOVE = "source_move"
    SOURCE_REMOVE = "source_remove"


_AGAIN = (
    "take the sync out of its file, `mixsync apply --prune`, put it back, apply and run it: objects keep their ids and "
    "their bytes are read anew"
)
_ACTIONS: dict[Kind, str] = {
    Kind.BLOB_DAMAGED: f"remove the file of this name from the blob store; then {_AGAIN}",
    Kind.OUTBOX_LEFT: "run the sync: the batch is handed over again under the same key",
    Kind.INTENT_LEFT: "run the sync: it settles them",
    Kind.LOCK_LEFT: "`mixsync unlock` the sync",
    Kind.DEAD_LETTER_OPEN: "run the sync with --full: it closes letters of items that need nothing",
    Kind.UNREFERENCED_BLOB: "`mixsync gc` removes it once it is old enough",
    Kind.UNBATCHED: "none where it was placed while skip_batch_submission was true; else change the item at the source",
    Kind.SOURCE_CREATE: "run the sync; `mixsync dlq` tells which of them have failed before",
    Kind.SOURCE_REPLACE: "run the sync; `mixsync dlq` tells which of them have failed before",
    Kind.SOURCE_MOVE: "run the sync",
    Kind.SOURCE_REMOVE: "run the sync; should its guard hold the removals back, it says how to approve them",
}
_REREAD = frozenset(
    {
        Kind.OBJECT_MISSING,
        Kind.OBJECT_NOT_ACTIVE,
        Kind.OBJECT_OF_ANOTHER,
        Kind.VERSION_DIFFERS,
        Kind.INVENTORY_MISSING,
        Kind.BLOB_MISSING,
        Kind.BLOB_SIZE,
        Kind.CONTENT_UNRECORDED,
    }
)
_RESTORE = "restore the state store, with the blobs and manifests, from a backup, and report how it came to this"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be; with `information` it may well be."""

    kind: Kind
    sync: str | None
    """The sync's name; None where it belongs to none."""
    subject: str
    """What it is about: an id, a path or a hash."""
    message: str
    """A sentence without its full stop."""
    information: bool = False

    @property
    def action(self) -> str:
        """What to do about it."""
        return _ACTIONS.get(self.kind, _AGAIN if self.kind in _REREAD else _RESTORE)

    def as_dict(self) -> dict[str, str | bool | None]:
        """Return the finding with its action, as plain JSON values."""
        return {
            "kind": self.kind.value,
            "information": self.information,
            "sync": self.sync,
            "subject": self.subject,
            "message": self.message,
            "action": self.action,
        }
