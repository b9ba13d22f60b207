"""Looking after what is stored: reading how things refer to each other, and removing what nothing refers to.

The rules of `ports.state` hold for the stores here. Reads come page by page in key order, so that memory does not
grow with the store: `after` is the last key of the page before, None at the start, and an empty page is the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mixsync_dagster.model.objects import Blob, StoredBlob
from mixsync_dagster.model.progress import DeadLetter
from mixsync_dagster.ports.control import Dispatch


@dataclass(frozen=True, slots=True)
class InventoryLink:
    """An inventory row and the object that it names; the object's part is None when there is no such object."""

    source_object_id: str
    object_id: str
    version: str
    duplicate_of: str | None
    object_state: str | None
    object_bucket_id: str | None
    object_source_object_id: str | None
    object_version: str | None
    object_sync_config_id: str | None
    """The sync that wrote the object last; several may fill one bucket."""


@dataclass(frozen=True, slots=True)
class ObjectLink:
    """An active object and what else knows of it."""

    object_id: str
    source_provider: str
    source_object_id: str
    sync_config_id: str
    version: str
    blobs: Sequence[Blob]
    batch_id: str | None
    sync_exists: bool
    in_inventory: bool
    """Whether the inventory of any sync of the bucket names it."""
    member: bool
    """Whether its version is in a batch or waits for one."""
    member_batch_id: str | None


@dataclass(frozen=True, slots=True)
class MemberLink:
    """An object version of a batch, or one that waits for a batch, and its object."""

    object_id: str
    version: str
    added_at: datetime
    batch_id: str | None
    batch_state: str | None
    """None: not in a batch, or there is no such batch."""
    object_version: str | None
    object_updated_at: datetime | None


@dataclass(frozen=True, slots=True)
class BatchLink:
    """A batch with what refers to it."""

    batch_id: str
    state: str
    size: int
    members: int
    in_outbox: bool


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What a sync's latest run has left open."""

    run_status: str | None
    """None: the sync never ran."""
    intents: int
    lock_holder: str | None
    """Who holds the lock, expired or not."""
    locked_run_status: str | None
    """Status of the run that holds the lock; None when nobody does or the run is not known."""
    stray_outbox: Sequence[str]
    """Outbox entries without a batch, some at most."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a sync stands, in what the store alone knows."""

    oldest_unsubmitted_at: datetime | None = None
    """When the oldest batch that waits to be submitted was sealed; None: none waits."""
    lock_age_seconds: float | None = None
    """How long the lock has been held by whoever holds it; None: nobody does."""
    lock_expired_seconds: float | None = None
    """For how long that lock has been expired, negative while it is not."""
    waiting: int = 0
    """Dead letters that the next run tries again."""
    quarantined: int = 0
    """Dead letters that are out of retries."""
    full_pass_at: datetime | None = None
    """Start of the last run that had listed everything when it ended."""


class HealthStore(Protocol):
    """What the health of syncs is told from."""

    def standings(self, sync_config_ids: Sequence[str]) -> Mapping[str, Standing]:
        """Return how each of these syncs stands, as one committed state; one that does not exist stands still."""
        ...


@dataclass(frozen=True, slots=True)
class RunSign:
    """What the store knows of a run's life."""

    recorded: bool
    """Whether there is a record of it: from its first step on."""
    ended_at: datetime | None
    """When its end was recorded; None: running, or not recorded."""
    lock_expired_seconds: float | None
    """For how long its lock has been expired, negative while it is not; None: it holds no lock."""


class ReapStore(Protocol):
    """What ending the runs of workers that are gone needs."""

    def run_signs(self, sync_run_ids: Sequence[str]) -> Mapping[str, RunSign]:
        """Return what is known of each of these runs."""
        ...

    def give_up_run(self, sync_run_id: str, *, error: str, claim: Dispatch | None = None) -> bool:
        """Take the run's expired lock away, so that it writes nothing more, and record it as interrupted.

        Its sync may be started again at once; where the run took no lock, `claim`, by which it was started, is given up
        as by `give_up_claim`. A run that has ended is left as it is. False when the lock is not expired any more: the
        worker is alive.
        """
        ...

    def claims_not_taken_up(self, *, older_seconds: float) -> Sequence[Dispatch]:
        """Return the claims that were made so long ago and that no run has taken up; void ones are left out."""
        ...

    def give_up_claim(self, claim: Dispatch) -> None:
        """Let the sync be started again at once; what a person asked for by the claim is asked for again.

        Nothing happens when the sync has been claimed anew, or a run of it holds the lock.
        """
        ...


class VerifyStore(Protocol):
    """What `verify` reads; nothing of it writes."""

    def inventory_links(self, sync_config_id: str, *, after: str | None, limit: int) -> Sequence[InventoryLink]:
        """Return a sync's inventory rows in source object id order."""
        ...

    def object_links(
        self, bucket_id: str, *, sync_config_id: str | None, after: str | None, limit: int
    ) -> Sequence[ObjectLink]:
        """Return the bucket's active objects (of the sync that wrote them last, when asked) in object id order."""
        ...

    def recorded_contents(self, sha256s: Sequence[str]) -> frozenset[tuple[str, str]]:
        """Return the recorded (sha256, object_id) pairs of these contents."""
        ...

    def member_links(self, sync_config_id: str, *, after: tuple[str, str] | None, limit: int) -> Sequence[MemberLink]:
        """Return members of a sync's batches and those that wait for one, by object id and version."""
        ...

    def batch_links(self, sync_config_id: str, *, after: str | None, limit: int) -> Sequence[BatchLink]:
        """Return a sync's batches in batch id order."""
        ...

    def leftovers(self, sync_config_id: str) -> Leftovers:
        """Return what the sync's latest run has left open."""
        ...

    def all_dead_letters(self, sync_config_id: str, *, after: str | None, limit: int) -> Sequence[DeadLetter]:
        """Return dead letters of every state in dead letter id order."""
        ...

    def versions_in_inventory(self, sync_config_id: str, source_object_ids: Sequence[str]) -> Mapping[str, str]:
        """Return {source object id: version} of those that the inventory has."""
        ...

    def contents_in_use(self, sha256s: Sequence[str], *, tombstoned_before: datetime | None = None) -> frozenset[str]:
        """Return those contents that an object has, active or tombstoned.

        Objects tombstoned before the given time do not count, as if they were forgotten.
        """
        ...


class CollectStore(Protocol):
    """What garbage collection needs of the state store."""

    def locked_syncs(self) -> Sequence[str]:
        """Return the names (else ids) of syncs whose lock somebody holds and has not let expire."""
        ...

    def end_expired_locks(self, *, idle_seconds: float) -> int:
        """Take away every lock that expired this long ago; return how many. Their holders can write nothing more."""
        ...

    def tombstones(self, *, before: datetime, after: str | None, limit: int) -> Sequence[str]:
        """Return objects tombstoned before a time that no batch waiting to be submitted holds, in object id order."""
        ...

    def forget_tombstones(self, object_ids: Sequence[str], *, before: datetime) -> int:
        """Forget those of the objects that are still tombstoned since before that time, with their contents.

        Returns how many were forgotten.
        """
        ...

    def contents_in_use(self, sha256s: Sequence[str], *, tombstoned_before: datetime | None = None) -> frozenset[str]:
        """Do as `VerifyStore.contents_in_use`."""
        ...


class BlobKeeper(Protocol):
    """Stored bytes, to be looked after. Every method may raise StoreUnavailable."""

    @property
    def removes_beside_runs(self) -> bool:
        """Whether `remove_unused` is safe while a run stores the same bytes; else no sync may run meanwhile."""
        ...

    def size_of(self, sha256: str) -> int | None:
        """Return the size in bytes as found, None when there are no such bytes."""
        ...

    def verify(self, sha256: str) -> bool:
        """Return whether the bytes still hash to their name; reads them all. Raises NotFound."""
        ...

    def list_blobs(self) -> Iterator[StoredBlob]:
        """Yield everything that can be read, in any order, with sizes as found (not verified)."""
        ...

    def counted_on_at(self, sha256: str) -> datetime | None:
        """Return when a run last stored the bytes, or flushed them for a commit; None when there are none."""
        ...

    def remove_unused(self, sha256: str, *, before: datetime) -> bool:
        """Remove the bytes unless a run counted on them at this time or later; return whether they were removed.

        The caller knows, and knew after `before`, that no object has them.
        """
        ...
