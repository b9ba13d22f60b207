"""What may be done to a sync: create, change, pause, resume, start, unlock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from mixsync_dagster.control.owners import LOCAL_OWNER, Owner, new_sync_config_id
from mixsync_dagster.control.references import find_bucket, find_connection
from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.buckets import BucketDefinition, Destination
from mixsync_dagster.model.mapping import SchemaMapping, check_blobs_offered, check_mapping_fits, default_mapping
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.provider_filters import check_provider_filters
from mixsync_dagster.model.provider_kinds import parse_source_path
from mixsync_dagster.model.schema_fit import check_mapping_fills
from mixsync_dagster.model.syncs import SyncConfiguration, SyncCreateRequest, SyncUpdateRequest, new_sync, sync_name_for
from mixsync_dagster.ports.control import ConfigStore, ControlStore

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
    accepted: bool
    """False: a run holds the lock now. With `full_sync` a full run follows it."""


def check_request(
    request: SyncCreateRequest, provider: ProviderType, bucket: BucketDefinition, *, where: str = ""
) -> None:
    """Return if the provider can serve, and the bucket can take, what a sync asks for.

    Raises InvalidInput with one problem a field; paths begin with `where`.
    """
    prefix = f"{where}." if where else ""
    path, mapping = f"{prefix}source_path", f"{prefix}schema_mapping"
    _raise(
        [
            *_problems(lambda: parse_source_path(provider, request.source_path, field=path)),
            *_setting_problems(request, provider, bucket, prefix),
            *_problems(lambda: check_mapping(request.schema_mapping, provider, bucket, where=mapping)),
        ]
    )


def check_mapping(
    mapping: SchemaMapping | None, provider: ProviderType, bucket: BucketDefinition, *, where: str = "schema_mapping"
) -> None:
    """Return if the provider has what the mapping takes and the bucket's schema has what it fills.

    None is the provider's default mapping. Raises InvalidInput with one problem an entry; paths begin with `where`.
    """
    schema, bucket_id = bucket.bucket_schema, bucket.bucket_id
    if mapping is None:
        _check_default_mapping(provider, bucket, where)
        return
    problems = [
        *_problems(lambda: check_mapping_fits(mapping, provider, where=where)),
        *_problems(lambda: check_blobs_offered(mapping, where=where)),
    ]
    if schema is not None:
        problems += _problems(lambda: check_mapping_fills(mapping, schema, bucket=bucket_id, where=where))
    _raise(problems)


def _check_default_mapping(provider: ProviderType, bucket: BucketDefinition, where: str) -> None:
    default = default_mapping(provider)
    # An empty one stands for every column of a table, whose names only the table tells.
    if bucket.bucket_schema is None or not default.mappings:
        return
    try:
        check_mapping_fills(default, bucket.bucket_schema, bucket=bucket.bucket_id, where=where)
    except InvalidInput:
        accepted = (
            f"one that fits the schema of bucket {bucket.bucket_id}, for the default (the file as the blob content) "
            "does not"
        )
        raise InvalidInput([FieldProblem(where, "", accepted, f"{where} is missing; give {accepted}.")]) from None


def _setting_problems(
    settings: SyncCreateRequest | SyncUpdateRequest, provider: ProviderType, bucket: BucketDefinition, prefix: str
) -> Iterator[FieldProblem]:
    """Yield the problems of settings that nothing here could honour: accepted, they would be ignored."""
    filters = settings.provider_filters or {}
    yield from _problems(lambda: check_provider_filters(filters, provider, where=f"{prefix}provider_filters"))
    if settings.batch_collection_ids and bucket.destination is Destination.EMBEDDED:
        path = f"{prefix}batch_collection_ids"
        reason = f"the embedded bucket {bucket.bucket_id} has no collections"
        said = f"{path}: a list is not accepted, for {reason}; leave it out."
        yield FieldProblem(path, "a list", "nothing", said)
    rules = settings.reconcile
    if rules is not None and not rules.re_extract_on_update:
        accepted = "true: objects that were replaced always go into a batch again, unless skip_batch_submission is true"
        yield from InvalidInput.of(f"{prefix}reconcile.re_extract_on_update", "false", accepted).problems
    if rules is not None and rules.re_extract_fields is not None:
        accepted = "null, or leave it out: a choice of fields is not offered"
        yield from InvalidInput.of(f"{prefix}reconcile.re_extract_fields", "a list", accepted).problems


def _problems(check: Callable[[], object]) -> Sequence[FieldProblem]:
    """Return what a check refuses."""
    try:
        check()
    except InvalidInput as error:
        return error.problems
    return ()


def _raise(problems: Sequence[FieldProblem]) -> None:
    if problems:
        raise InvalidInput(problems)


def create_sync(
    store: ConfigStore,
    request: SyncCreateRequest,
    *,
    bucket: str,
    now: datetime,
    owner: Owner = LOCAL_OWNER,
    sync_config_id: str | None = None,
) -> SyncConfiguration:
    """Store a new sync for a bucket (id or name) and return it: due now, a `scheduled` one after its first interval.

    Raises NotFound for the bucket or the connection, InvalidInput, Conflict when the name is taken.
    """
    definition = find_bucket(store, bucket)
    connection = find_connection(store, request.connection_id)
    check_request(request, connection.provider_type, definition)
    sync = new_sync(
        request,
        sync_config_id=sync_config_id or new_sync_config_id(),
        bucket_id=definition.bucket_id,
        connection_id=connection.connection_id,
        internal_id=owner.internal_id,
        namespace_id=owner.namespace_id,
        created_by_user_id=owner.user_id,
        source_type=connection.provider_type,
        now=now,
        taken_names=()
        if request.name
        else store.numbered_sync_names(sync_name_for(request.source_path), within=owner.namespace),
    )
    store.create_sync(sync)
    return store.get_sync(sync.sync_config_id)


def update_sync(
    store: SyncStore, sync: SyncConfiguration, update: SyncUpdateRequest, *, owner: Owner = LOCAL_OWNER
) -> SyncConfiguration:
    """Change a sync's configuration, and pause or resume it when the update says so; return it as it is then.

    Raises InvalidInput for values that its provider cannot serve or its bucket cannot take.
    """
    provider, bucket = store.get_connection(sync.connection_id).provider_type, store.get_bucket(sync.bucket_id)
    mapping = update.schema_mapping
    problems = [*_setting_problems(update, provider, bucket, "")]
    if mapping is not None:
        problems += _problems(lambda: check_mapping(mapping, provider, bucket))
    _raise(problems)
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
    """Ask for a run, which a running Dagster daemon starts within seconds. Raises Conflict when the sync is paused."""
    return Triggered(sync, store.request_run(sync.sync_config_id, full_sync=full_sync))


def unlock(store: ControlStore, sync: SyncConfiguration) -> str | None:
    """Take the lock away from its holder, which can then write nothing more; return the holder, None when free."""
    return store.unlock(sync.sync_config_id)


def differing(wanted: Mapping[str, Any], present: Mapping[str, Any], names: tuple[str, ...]) -> list[str]:
    """Return which of the fields differ; absent and empty are the same."""
    return [name for name in names if (wanted.get(name) or None) != (present.get(name) or None)]
