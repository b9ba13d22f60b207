"""The state store as the use cases see it: definitions, pausing and starting syncs, finding and claiming due ones.

The rules of `ports.state` hold here too: a method is one transaction, times are aware UTC, any may raise
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.progress import DeadLetter, RunRecord, Trigger
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE, Namespace


@dataclass(frozen=True, slots=True)
class Dispatch:
    """The right to start one run of a due sync: the run key is unique for ever."""

    sync_config_id: str
    number: int
    trigger: Trigger
    full_sync: bool

    @property
    def run_key(self) -> str:
        """`sync_config_id:number`."""
        return f"{self.sync_config_id}:{self.number}"


@dataclass(frozen=True, slots=True)
class Applied:
    """What saving a definition did: created, updated or unchanged."""

    kind: str
    name: str
    identifier: str
    change: str


class ConfigStore(Protocol):
    """Definitions of connections, buckets and syncs. Credentials go in as plain values and are encrypted at rest.

    `within` is the namespace that is looked into, for a connection its organisation; what lies outside is absent. None,
    for the machinery and for whoever operates it: ids of every namespace, and names of the local one.
    """

    def save_connection(self, connection: StorageConnection, *, credentials: Mapping[str, Any] | None) -> None:
        """Create or replace a connection. `credentials` None keeps the stored ones.

        Raises Conflict on a name that is taken in its organisation.
        """
        ...

    def get_connection(self, id_or_name: str, *, within: Namespace | None = None) -> StorageConnection:
        """Return a connection without its credentials. Raises NotFound."""
        ...

    def connection_used(self, connection_id: str, *, error: str | None) -> StorageConnection:
        """Note that a connection worked (None), or the sentence with which its credentials or its test failed.

        After five failures in a row it is SUSPENDED and its syncs are paused, which say so; when it works again it is
        ACTIVE and they go on. Returns it as it is then. Raises NotFound, also for an archived one.
        """
        ...

    def credentials_of(self, connection_id: str) -> Mapping[str, Any]:
        """Return the decrypted credentials, with their `type`.

        Raises NotFound, ConfigurationError when the key is wrong.
        """
        ...

    def list_connections(self, *, within: Namespace | None = None) -> Sequence[StorageConnection]:
        """Return connections that are not archived, by name; None for `within`: those of everybody."""
        ...

    def delete_connection(self, connection_id: str) -> None:
        """Archive a connection. Raises Conflict while a sync uses it."""
        ...

    def save_bucket(self, bucket: BucketDefinition, *, within: Namespace = LOCAL_NAMESPACE) -> None:
        """Create or replace a bucket's definition. Raises Conflict on a taken name, and on an id of others."""
        ...

    def count_objects(self, bucket_id: str, *, sync_config_id: str | None = None) -> int:
        """Return how many active objects the bucket has, of one sync when asked."""
        ...

    def get_bucket(self, id_or_name: str, *, within: Namespace | None = None) -> BucketDefinition:
        """Return a bucket. Raises NotFound."""
        ...

    def list_buckets(self, *, within: Namespace | None = None) -> Sequence[BucketDefinition]:
        """Return buckets by id; None for `within`: those of everybody."""
        ...

    def delete_empty_bucket(self, bucket_id: str) -> None:
        """Remove a bucket. Raises Conflict while it has syncs or objects, NotFound."""
        ...

    def create_sync(self, sync: SyncConfiguration) -> None:
        """Store a new sync, due at its `next_sync_at`.

        Raises Conflict on a name that is taken in its namespace, NotFound for bucket or connection.
        """
        ...

    def update_sync(self, sync_config_id: str, changes: Mapping[str, Any]) -> SyncConfiguration:
        """Set configuration fields of a sync by name and return it; live status and counters are not touched."""
        ...

    def delete_sync(self, sync_config_id: str) -> None:
        """Remove a sync with its inventory, checkpoint and dead letters; objects, batches and a run's record stay.

        A run in progress loses its lock at its next write.
        """
        ...

    def get_sync(self, id_or_name: str, *, within: Namespace | None = None) -> SyncConfiguration:
        """Return a sync with live status. Raises NotFound."""
        ...

    def list_syncs(
        self, *, bucket_id: str | None = None, connection_id: str | None = None, within: Namespace | None = None
    ) -> Sequence[SyncConfiguration]:
        """Return syncs by name; None for `within`: those of everybody."""
        ...

    def numbered_sync_names(self, stem: str, *, within: Namespace) -> Collection[str]:
        """Return which names of a namespace are the stem itself, or begin with it and a hyphen."""
        ...


class ControlStore(Protocol):
    """Pausing, starting and watching syncs."""

    def set_paused(
        self, sync_config_id: str, paused: bool, *, reason: str | None, user_id: str | None
    ) -> SyncConfiguration:
        """Pause (status SUSPENDED, inactive, not due) or resume (ACTIVE, or PENDING before the first run; due now)."""
        ...

    def request_run(self, sync_config_id: str, *, full_sync: bool) -> bool:
        """Ask for a manual run now, which the next look for work starts; asking again before that is asking once.

        False while a run holds the lock (with full_sync, remembered as pending_full_sync and dispatched when the run
        ends). Raises Conflict when paused, NotFound.
        """
        ...

    def unlock(self, sync_config_id: str) -> str | None:
        """Take the lock away from its holder, which can then write nothing more; return the holder or None."""
        ...

    def list_runs(self, sync_config_id: str, *, limit: int = 20) -> Sequence[RunRecord]:
        """Return runs, newest first.

        One that is recorded as running is told as interrupted when its lock was taken away, given back without its
        end, or has been expired for minutes: its worker is gone. `get_run` returns what is recorded.
        """
        ...

    def get_run(self, sync_run_id: str) -> RunRecord:
        """Return one run. Raises NotFound."""
        ...

    def list_dead_letters(
        self,
        sync_config_id: str,
        *,
        state: str | None = None,
        error_type: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[DeadLetter]:
        """Return dead letters (None: all but resolved and discarded) in dead letter id order after an id."""
        ...

    def dead_letter_ids(
        self,
        sync_config_id: str,
        *,
        states: Sequence[str],
        error_types: Sequence[str] | None = None,
        after: str | None = None,
        limit: int,
    ) -> Sequence[str]:
        """Return the ids of dead letters in these states and of these reason classes (None: any), as they are listed.

        In their order, after an id.
        """
        ...

    def requeue_dead_letters(self, sync_config_id: str, dead_letter_ids: Sequence[str]) -> int:
        """Let those of the sync's letters that are not resolved wait again, with no retry counted and `requeued_at`.

        Returns how many. The next run tries their items, though they did not change.
        """
        ...

    def discard_dead_letters(self, sync_config_id: str, dead_letter_ids: Sequence[str], *, reason: str) -> int:
        """Discard those of the sync's letters that are waiting or quarantined; return how many.

        Their items are left alone in this version. The reason is put before the message, cut at 500 characters.
        """
        ...


class DispatchStore(Protocol):
    """Finding due syncs and claiming the right to start them, by compare-and-set."""

    def due_syncs(
        self, *, limit: int, exclude: Sequence[str] = (), only: Sequence[str] | None = None
    ) -> Sequence[SyncConfiguration]:
        """Return active, unpaused, unlocked syncs whose next_sync_at has come, longest waiting first."""
        ...

    def requested_syncs(self, *, limit: int, exclude: Sequence[str] = ()) -> Sequence[SyncConfiguration]:
        """Return unpaused, unlocked syncs for which a run was asked and not claimed, longest waiting first."""
        ...

    def claim_dispatch(self, sync_config_id: str, *, expected_number: int) -> Dispatch | None:
        """Claim the next run of a due or requested sync; None when someone else did.

        A claim that no run takes up within two minutes is void: the sync becomes due again under the next number.
        """
        ...

    def take_up_dispatch(self, sync_config_id: str, number: int) -> bool:
        """Tell that a run started for this claim, which answers what was asked for up to the claim.

        False when the claim is void, and the run must not go on.
        """
        ...

    def dispatch_number(self, sync_config_id: str) -> int:
        """Return the number of the latest claim, 0 before the first."""
        ...

    def postpone(self, sync_config_id: str, next_sync_at: datetime) -> None:
        """Set when a probed, unchanged sync is due again; ignored while it is locked or paused."""
        ...
