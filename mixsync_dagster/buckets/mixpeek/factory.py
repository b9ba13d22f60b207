"""Making the bucket of a definition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from mixsync_dagster.buckets.mixpeek.bucket import MixpeekBucket
from mixsync_dagster.buckets.mixpeek.settings import MixpeekSettings
from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.buckets import BucketDefinition, BucketSchema, MixpeekTier
from mixsync_dagster.model.secrets import EnvReference, reveal
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.hosted import RemoteIds
from mixsync_dagster.ports.pacing import Pacer

if TYPE_CHECKING:
    from mixsync_dagster.buckets.mixpeek.schema import RemoteSchema
    from mixsync_dagster.transport.addresses import AddressPolicy

_MIB, _GIB = 1024**2, 1024**3
TIERS: Mapping[MixpeekTier | None, tuple[int | None, int]] = MappingProxyType(
    {
        None: (None, 50 * _GIB),
        MixpeekTier.FREE: (10, 100 * _MIB),
        MixpeekTier.PRO: (60, 5 * _GIB),
        MixpeekTier.ENTERPRISE: (None, 50 * _GIB),
    }
)
"""Calls a minute and bytes of a file, as the vendor publishes them."""


def settings_of(
    definition: BucketDefinition,
    *,
    lookup: Callable[[str], str | None],
    spool_folder: Path | None = None,
    ca_bundle: Path | None = None,
    addresses: AddressPolicy | None = None,
) -> MixpeekSettings:
    """Return how the bucket is reached. Raises ConfigurationError when the variable of its key is not set."""
    there = definition.mixpeek
    if there is None:
        raise ConfigurationError(f"bucket {definition.bucket_id} is not at the hosted service.")
    key = there.api_key
    if isinstance(key, EnvReference):
        value = lookup(key.env)
        if not value:
            raise ConfigurationError(
                f"bucket {definition.bucket_id}: mixpeek.api_key: the environment variable {key.env} is not set."
            )
    else:
        value = reveal(key)
    per_minute, most_bytes = TIERS[there.tier]
    return MixpeekSettings(
        base_url=there.base_url,
        namespace=there.namespace,
        bucket=there.bucket or definition.bucket_id,
        api_key=value,
        most_file_bytes=most_bytes,
        requests_per_minute=per_minute,
        spool_folder=spool_folder,
        verify=True if ca_bundle is None else str(ca_bundle),
        addresses=addresses,
    )


def open_mixpeek_bucket(
    definition: BucketDefinition,
    settings: MixpeekSettings,
    store: RemoteIds,
    *,
    clock: Clock,
    pacer: Pacer,
    fits: Callable[[BucketSchema], None] | None = None,
) -> MixpeekBucket:
    """Return the bucket; nothing is sent yet. `fits` raises InvalidInput for a schema that the mapping does not fit."""

    def check(found: RemoteSchema) -> None:
        if fits is None or found.schema is None:
            return
        try:
            fits(found.schema)
        except InvalidInput as error:
            said = f"bucket {definition.bucket_id}, as the service has it: {error}"
            raise ConfigurationError(said) from error

    return MixpeekBucket(definition.bucket_id, store, settings, clock=clock, pacer=pacer, check_schema=check)
