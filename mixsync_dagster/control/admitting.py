"""Creating a sync with every check: the connection may be used, the path can be listed, the mapping fits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from mixsync_dagster.control.checking import SourceCheck
from mixsync_dagster.control.owners import Owner
from mixsync_dagster.control.syncs import check_request, create_sync
from mixsync_dagster.errors import FieldProblem, InvalidInput, MixsyncError, PathNotFound, StoreUnavailable
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.provider_configs import ProviderConfig
from mixsync_dagster.model.syncs import SyncConfiguration, SyncCreateRequest
from mixsync_dagster.ports.control import ConfigStore


def admit_sync(
    store: ConfigStore,
    request: SyncCreateRequest,
    *,
    bucket: BucketDefinition,
    connection: StorageConnection,
    config_of: Callable[[StorageConnection], ProviderConfig],
    check: SourceCheck,
    now: datetime,
    owner: Owner,
    sync_config_id: str,
) -> SyncConfiguration:
    """Store a new sync under an id and return it, due now; nothing is stored unless its source path can be listed.

    `config_of` returns a connection's config with credentials in values, and raises for one that may not be used.
    Raises InvalidInput naming the field, Conflict when the name is taken, StoreUnavailable.
    """
    # What needs no network first: a mapping that does not fit costs no look at the provider.
    check_request(request, connection.provider_type, bucket)
    try:
        check(config_of(connection), request.source_path, provider_filters=request.provider_filters)
    except StoreUnavailable:
        raise
    except PathNotFound as error:
        raise _untaken("source_path", "a path that exists at the provider", error) from error
    except MixsyncError as error:
        raise _untaken("connection_id", "a connection that can list the source path", error) from error
    named = request.model_copy(update={"connection_id": connection.connection_id})
    return create_sync(store, named, bucket=bucket.bucket_id, now=now, owner=owner, sync_config_id=sync_config_id)


def _untaken(field: str, accepted: str, error: MixsyncError) -> InvalidInput:
    reason = str(error).removeprefix(f"{field}: ").rstrip(".")
    return InvalidInput([FieldProblem(field, "", accepted, f"{field}: {reason}; give {accepted}.")])
