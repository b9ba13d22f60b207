"""Everything that can go wrong, ordered by what to do next.

    MixsyncError
    |- ConfigurationError      the input or the set-up is wrong -> say so, exit 2 / run FAILED, no retry
    |  |- InvalidInput         one or more fields hold unaccepted values
    |  |- NotFound             a named connection, bucket, sync or object does not exist
    |  |- Conflict             the request does not fit the present state (paused, name taken, in use)
    |  |- PathNotFound         the source path does not exist at the provider
    |  |- AccessDenied         the provider refuses these credentials or rights
    |  |  `- BucketDenied      the bucket's service refuses the key -> the sync pauses at once
    |  `- AddressRefused       a host stands at an address that this installation does not connect to
    |- Throttled               somebody asked us to wait -> wait, then the same step again; no attempt is counted
    |  |- RateLimited          the provider said slow down (429, 503 SlowDown)
    |  `- ProviderUnavailable  an outage: no answer, 5xx, connection reset before the answer
    |- CursorExpired           the provider refuses the position -> list again from the start
    |- ItemError               this item failed -> attempt + dead letter, the run goes on
    |  |- ItemVanished         it is gone since it was listed -> no dead letter, the next pass decides
    |  |- ItemChanged          it changed since it was listed -> transient; planned again from a fresh listing
    |  |- ItemCorrupt          bytes do not match size or checksum -> transient; of most items at once: an outage
    |  |- ItemUnanswered       no answer for it while others are answered -> transient; of most items at once: an outage
    |  |- ItemRefused          the bucket's service does not take it -> permanent: quarantined at once
    |  |- ItemUnreadable       archived, forbidden, name cannot be said -> permanent: quarantined at once
    |  `- MappingFailed        a required field is missing or a value is unusable -> transient (may be repaired)
    |- AlreadyLocked           another worker runs this sync -> outcome skipped
    |- LockLost                a newer generation took over -> stop now, write nothing
    |- RemovalsRefused         a pass would remove more than the guard allows -> sync pauses until approved
    `- StoreUnavailable        the state or blob store fails -> run interrupted, progress is as last committed; resumes

Messages are single sentences for a person, never hold a secret, a header, a body or a URL's query.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


class MixsyncError(Exception):
    """Root of every error this project raises on purpose."""


class ConfigurationError(MixsyncError):
    """The input or the set-up is wrong; trying again without a change cannot help."""


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One unaccepted value: where it stands, what it was, what would be accepted."""

    field: str
    """Dotted path of the field, e.g. `syncs.videos.polling_interval_seconds`."""
    value: str
    """The value as shown to the user; empty for a secret or an absent value."""
    accepted: str
    """The accepted form in words."""
    message: str
    """The whole sentence."""


class InvalidInput(ConfigurationError):
    """One or more fields hold values that are not accepted; nothing was changed."""

    def __init__(self, problems: Sequence[FieldProblem]) -> None:
        self.problems: tuple[FieldProblem, ...] = tuple(problems)
        super().__init__("\n".join(problem.message for problem in self.problems))

    @classmethod
    def of(cls, field: str, value: object, accepted: str) -> InvalidInput:
        """Return the error for a single field, worded as every other one."""
        shown = str(value)
        if len(shown) > 80:  # noqa: PLR2004 - one line of a terminal
            shown = shown[:77] + "..."
        return cls([FieldProblem(field, shown, accepted, f"{field}: {shown} is not accepted; give {accepted}.")])


class NotFound(ConfigurationError):
    """A named connection, bucket, sync, run, batch or object does not exist."""


class Conflict(ConfigurationError):
    """The request does not fit the present state."""


class PathNotFound(ConfigurationError):
    """The source path does not exist at the provider."""


class AccessDenied(ConfigurationError):
    """The provider refuses the credentials or the rights that they carry."""


class AddressRefused(ConfigurationError):
    """A host stands at an address that this installation does not connect to; nothing was sent."""


class BucketDenied(AccessDenied):
    """The bucket's service refuses the key or its rights: the sync pauses, for every run would only ask again."""


class Throttled(MixsyncError):
    """Somebody asked us to wait; objects are innocent and no attempt of theirs is counted."""

    def __init__(self, message: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class RateLimited(Throttled):
    """The provider said slow down; `retry_after_seconds` is its own word, None when it gave none."""


class ProviderUnavailable(Throttled):
    """The provider gave no usable answer: refused or reset connection, timeout, 5xx."""


class CursorExpired(MixsyncError):
    """The provider refuses a stored position; the scope has to be listed again."""


class ItemError(MixsyncError):
    """One item failed; the run goes on and the item becomes a dead letter.

    `error_type` is the stable reason class that users filter dead letters by. `permanent` items are quarantined
    at once, others after one try and three retries. Where most items of a commit fail by errors that `may_be_outage`,
    no item is blamed: the run ends as by an outage.
    """

    error_type: ClassVar[str] = "download_failed"
    permanent: ClassVar[bool] = False
    may_be_outage: ClassVar[bool] = True


class ItemVanished(ItemError):
    """The item is gone since it was listed; the next complete pass decides about its object."""

    error_type: ClassVar[str] = "vanished"
    may_be_outage: ClassVar[bool] = False


class ItemChanged(ItemError):
    """The item's version is no longer the listed one; its bytes were not stored."""

    error_type: ClassVar[str] = "changed_while_reading"
    may_be_outage: ClassVar[bool] = False


class ItemCorrupt(ItemError):
    """The bytes received do not match the announced size or checksum; they were not stored as the item."""

    error_type: ClassVar[str] = "checksum_mismatch"


class ItemUnanswered(ItemError):
    """The provider gave no usable answer for this item, again and again, while it answered for others."""

    error_type: ClassVar[str] = "no_answer"


class ItemUnreadable(ItemError):
    """The item cannot be read until somebody changes something at the source.

    `error_type` is chosen per instance: `archived`, `access_denied`, `unsupported_name` and the like.
    """

    permanent: ClassVar[bool] = True
    may_be_outage: ClassVar[bool] = False

    def __init__(self, message: str, *, error_type: str) -> None:
        super().__init__(message)
        self.error_type = error_type  # type: ignore[misc]  # narrows the class default per instance on purpose


class ItemRefused(ItemError):
    """The bucket's service does not take the item; asked again without a change, it would say the same.

    `error_type` is chosen per instance: `too_large`, `validation_error` or `refused`.
    """

    permanent: ClassVar[bool] = True
    may_be_outage: ClassVar[bool] = False

    def __init__(self, message: str, *, error_type: str = "refused") -> None:
        super().__init__(message)
        self.error_type = error_type  # type: ignore[misc]  # narrows the class default per instance on purpose


class MappingFailed(ItemError):
    """A mapped value is missing or unusable; `error_type` is `schema_mismatch` or `validation_error`."""

    may_be_outage: ClassVar[bool] = False

    def __init__(self, message: str, *, error_type: str = "schema_mismatch") -> None:
        super().__init__(message)
        self.error_type = error_type  # type: ignore[misc]  # narrows the class default per instance on purpose


class AlreadyLocked(MixsyncError):
    """Another worker holds the sync's lock until `expires_at` (aware UTC)."""

    def __init__(self, sync_config_id: str, owner: str, expires_at: datetime) -> None:
        super().__init__(
            f"sync {sync_config_id} is being run by worker {owner} (its lock expires at {expires_at.isoformat()}); "
            "wait for it or force-release it with `mixsync unlock`."
        )
        self.sync_config_id = sync_config_id
        self.owner = owner
        self.expires_at = expires_at


class LockLost(MixsyncError):
    """A newer generation holds the sync's lock; the caller must stop and has written nothing."""


class RemovalsRefused(MixsyncError):
    """A complete pass would remove more objects than the guard allows; nothing was removed."""


class StoreUnavailable(MixsyncError):
    """The state store cannot be reached, is full, or is locked past its timeout; nothing was committed."""
