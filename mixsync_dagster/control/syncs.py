"""What may be done to a sync: create, change, pause, resume, start, unlock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mixsync_dagster.control.owners import LOCAL_OWNER, Owner, new_sync_config_id
from mixsync_dagster.control.references import find_bucket, find_connection
from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.mapping import check_mapping_fits
from mixsync_dagster.model.paths import parse_source_path
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.syncs import SyncConfiguration, SyncCreateRequest, SyncUpdateRequest, new_sync
from mixsync_dagster.ports.control import ConfigStore, ControlStore, Dispatch

IMMUTABLE = ("bucket_id", "connection_id", "source_path", "sync_mode", "file_filters", "skip_duplicates", "sync_from")
"""Fields that say what a sync is; another value is another sync."""

UPDATABLE = tuple(name for name in SyncUpdateRequest.model_fields if name not in ("status", "is_active"))
"""Fields that may change; the new values count from the next run on."""


class SyncStore(ConfigStore, ControlStore, Protocol):
    """Definitions of syncs and their control."""


@dataclass(frozen=True, slots=True)
class Triggered:
    """What asking for a run led to."""

    sync: SyncConfiguration
    dispatch: Dispatch | None
    """None: a run holds the lock now. With `full_sync` a full run follows it."""


def check_request(request: SyncCreateRequest, provider: ProviderType, *, where: str = "") -> None:
    """Return if the provider can serve what a sync asks for.

    Raises InvalidInput with one problem a field; paths begin with `where`.
    """
    prefix = f"{where}." if where else ""
    problems: list[FieldProblem] = []
    try:
        parse_source_path(provider, request.source_path, field=f"{prefix}source_path")
    except InvalidInput as error:
        problems += error.problems
    if request.schema_mapping is not None:
        try:
            check_mapping_fits(request.schema_mapping, provider, where=f"{prefix}schema_mapping")
        except InvalidInput as error:
            problems += error.problems
    if problems:
        raise InvalidInput(problems)


def create_sync(
    store: ConfigStore, request: SyncCreateRequest, *, bucket: str, now: datetime, owner: Owner = LOCAL_OWNER
) -> SyncConfiguration:
    """Store a new sync for a bucket (id or name) and return it: due now, a `scheduled` one after its first interval.

    Raises NotFound for the bucket or the connection, InvalidInput, Conflict when the name is taken.
    """
    definition = find_bucket(store, bucket)
    connection = find_connection(store, request.connection_id)
    check_request(request, connection.provider_type)
    sync = new_sync(
        request,
        sync_config_id=new_sync_config_id(),
        bucket_id=definition.bucket_id,
        connection_id=connection.connection_id,
        internal_id=owner.internal_id,
        namespace_id=owner.namespace_id,
        created_by_user_id=owner.user_id,
        source_type=connection.provider_type,
        now=now,
        taken_names=[other.name for other in store.list_syncs()],
    )
    store.create_sync(sync)
    return store.get_sync(sync.sync_config_id)


def update_sync(
    store: SyncStore, sync: SyncConfiguration, update: SyncUpdateRequest, *, owner: Owner = LOCAL_OWNER
) -> SyncConfiguration:
    """Change a sync's configuration, and pause or resume it when the update says so; return it as it is then.

    Raises InvalidInput when its provider cannot serve the new mapping.
    """
    if update.schema_mapping is not None:
        provider = store.get_connection(sync.connection_id).provider_type
        check_mapping_fits(update.schema_mapping, provider)
    changes = update.changes()
    if changes:
        sync = store.update_sync(sync.sync_config_id, changes)
    if update.active is not None and update.active == sync.paused:
        sync = store.set_paused(
            sync.sync_config_id, not update.active, reason=None if update.active else "user", user_id=owner.user_id
        )
    return sync


def pause(
    store: ControlStore, sync: SyncConfiguration, *, reason: str | None = None, owner: Owner = LOCAL_OWNER
) -> SyncConfiguration:
    """Start no new run of the sync; one that is under way ends by itself. Twice is harmless."""
    return store.set_paused(sync.sync_config_id, True, reason=reason or "user", user_id=owner.user_id)


def resume(store: ControlStore, sync: SyncConfiguration, *, owner: Owner = LOCAL_OWNER) -> SyncConfiguration:
    """Let the sync run again; it is due now. A sync that is not paused stays as it is."""
    if not sync.paused:
        return sync
    return store.set_paused(sync.sync_config_id, False, reason=None, user_id=owner.user_id)


def trigger(store: ControlStore, sync: SyncConfiguration, *, full_sync: bool = False) -> Triggered:
    """Ask for a run now. Raises Conflict when the sync is paused."""
    return Triggered(sync, store.request_run(sync.sync_config_id, full_sync=full_sync))


def unlock(store: ControlStore, sync: SyncConfiguration) -> str | None:
    """Take the lock away from its holder, which can then write nothing more; return the holder, None when free."""
    return store.unlock(sync.sync_config_id)


def differing(wanted: Mapping[str, Any], present: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    """Return which of the fields differ; absent and empty are the same."""
    return [name for name in names if (wanted.get(name) or None) != (present.get(name) or None)]
