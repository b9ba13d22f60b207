"""From one definition to the step that makes the stored state agree with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mixsync_dagster.control.owners import Owner, new_connection_id, new_sync_config_id
from mixsync_dagster.control.syncs import IMMUTABLE, UPDATABLE, differing
from mixsync_dagster.errors import ConfigurationError, FieldProblem, InvalidInput
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection, StorageConnectionCreateRequest, new_connection
from mixsync_dagster.model.documents import SyncDocument
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.syncs import SyncConfiguration, new_sync
from mixsync_dagster.model.validation import shown
from mixsync_dagster.ports.control import Applied, ConfigStore

CREATED, UPDATED, UNCHANGED, REMOVED = "created", "updated", "unchanged", "removed"


@dataclass(frozen=True, slots=True)
class Step:
    """One definition's change, and the write that makes it; None when there is nothing to write."""

    applied: Applied
    write: Callable[[], object] | None = None


def placeholder(connection: str, field: str) -> str:
    """Return the variable by which an export stands for a secret that was given as it is."""
    name = "".join(char if char.isascii() and char.isalnum() else "_" for char in f"{connection}_{field}").upper()
    return name if not name[:1].isdigit() else f"_{name}"


def plan_connection(
    store: ConfigStore,
    request: StorageConnectionCreateRequest,
    present: StorageConnection | None,
    *,
    lookup: Callable[[str], str | None],
    owner: Owner,
    now: datetime,
) -> Step:
    """Return the step for a connection. Raises InvalidInput when its provider would change."""
    wanted, credentials = new_connection(
        request,
        connection_id=new_connection_id() if present is None else present.connection_id,
        internal_id=owner.internal_id,
        created_by_user_id=owner.user_id,
        now=now,
    )
    if present is None:
        write = _saving(store, wanted, credentials)
        return Step(Applied("connection", request.name, wanted.connection_id, CREATED), write)
    if present.provider_type is not wanted.provider_type:
        where = f"connections.{request.name}.provider_type"
        said = (
            f"{where} cannot be changed from {present.provider_type} to {wanted.provider_type}; "
            "give the connection another name to create a new one."
        )
        raise InvalidInput([FieldProblem(where, wanted.provider_type, present.provider_type, said)])
    same_secrets = _same_credentials(store, present, credentials, lookup)
    own = ("provider_config", "description", "metadata", "write_enabled")
    if same_secrets and all(getattr(wanted, name) == getattr(present, name) for name in own):
        return Step(Applied("connection", request.name, present.connection_id, UNCHANGED))
    changes: dict[str, Any] = {name: getattr(wanted, name) for name in own}
    changes |= {"credentials_type": wanted.credentials_type, "updated_at": now}
    # Somebody repaired it: what was suspended for its failures may be used again.
    changes |= {"status": TaskStatus.ACTIVE, "last_error": None, "consecutive_failures": 0}
    saved = present.model_copy(update=changes)
    write = _saving(store, saved, None if same_secrets else credentials)
    return Step(Applied("connection", request.name, present.connection_id, UPDATED), write)


def plan_bucket(store: ConfigStore, wanted: BucketDefinition, present: BucketDefinition | None) -> Step:
    """Return the step for a bucket."""
    if present is not None and wanted == present:
        return Step(Applied("bucket", wanted.bucket_id, wanted.bucket_id, UNCHANGED))
    change = CREATED if present is None else UPDATED
    return Step(Applied("bucket", wanted.bucket_id, wanted.bucket_id, change), lambda: store.save_bucket(wanted))


def plan_sync(
    store: ConfigStore,
    request: SyncDocument,
    present: SyncConfiguration | None,
    *,
    bucket_id: str,
    connection_id: str,
    provider: ProviderType,
    owner: Owner,
    now: datetime,
) -> Step:
    """Return the step for a sync. Raises InvalidInput when a field would change that says what the sync is."""
    wanted = new_sync(
        request,
        sync_config_id=new_sync_config_id() if present is None else present.sync_config_id,
        bucket_id=bucket_id,
        connection_id=connection_id,
        internal_id=owner.internal_id,
        namespace_id=owner.namespace_id,
        created_by_user_id=owner.user_id,
        source_type=provider,
        now=now,
    )
    if present is None:
        applied = Applied("sync", wanted.name, wanted.sync_config_id, CREATED)
        return Step(applied, lambda: store.create_sync(wanted))
    new, old = _comparable(wanted), _comparable(present)
    fixed = differing(new, old, IMMUTABLE)
    if fixed:
        raise InvalidInput([_fixed(request.name or "", name, old, new) for name in fixed])
    changed = differing(new, old, UPDATABLE)
    if not changed:
        return Step(Applied("sync", wanted.name, present.sync_config_id, UNCHANGED))
    values = wanted.model_dump(mode="json", include=set(changed))
    applied = Applied("sync", wanted.name, present.sync_config_id, UPDATED)
    return Step(applied, lambda: store.update_sync(present.sync_config_id, values))


def _saving(
    store: ConfigStore, connection: StorageConnection, credentials: Mapping[str, Any] | None
) -> Callable[[], object]:
    return lambda: store.save_connection(connection, credentials=credentials)


def _same_credentials(
    store: ConfigStore,
    present: StorageConnection,
    wanted: Mapping[str, Any],
    lookup: Callable[[str], str | None],
) -> bool:
    """Return whether the stored credentials are the wanted ones.

    A secret that is stored as it is equals the reference that an export writes for it, while the variable holds it.
    """
    try:
        stored = store.credentials_of(present.connection_id)
    except ConfigurationError:
        # They cannot be read any more (another key): only storing them anew helps.
        return False
    if {k for k, v in stored.items() if v is not None} != {k for k, v in wanted.items() if v is not None}:
        return False
    for field, value in wanted.items():
        kept = stored.get(field)
        if kept == value:
            continue
        exported = {"env": placeholder(present.name, field)}
        if value != exported or not isinstance(kept, str) or lookup(exported["env"]) != kept:
            return False
    return True


def _comparable(sync: SyncConfiguration) -> dict[str, Any]:
    values = sync.model_dump(mode="json")
    values["sync_mode"] = sync.mode.value
    return values


def _fixed(name: str, field: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> FieldProblem:
    where = f"syncs.{name}.{field}"
    said = (
        f"{where} cannot be changed from {shown(old.get(field))} to {shown(new.get(field))}; give the sync another "
        "name to create a new one (with --prune the old one is deleted and its objects stay)."
    )
    return FieldProblem(where, shown(new.get(field)), shown(old.get(field)), said)
