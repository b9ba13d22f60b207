"""What a downstream asset gets when it takes a sync's asset as its input: the bucket's objects as a DataFrame."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dagster import AssetKey, InputContext, IOManager, OutputContext

from mixsync_dagster.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

Load = Callable[..., "pd.DataFrame"]

ONLY_SYNC_METADATA = "mixsync/only_this_sync"
"""Metadata of an input: true gives only the objects that this very sync put into the bucket."""


class BucketObjectsIOManager(IOManager):
    """Writes nothing, for the run has filled the bucket; reads the bucket's objects."""

    def __init__(self, load: Load, targets: Mapping[AssetKey, tuple[str, str]]) -> None:
        """`targets` gives bucket id and sync id of every asset of ours."""
        self._load = load
        self._targets = targets

    def handle_output(self, context: OutputContext, obj: Any) -> None:
        """Do nothing: what the run made lies in the bucket, and its record in the state store."""

    def load_input(self, context: InputContext) -> pd.DataFrame:
        """Return the bucket's objects, one row each. Raises ConfigurationError for an asset of no sync."""
        target = self._targets.get(context.asset_key) if context.has_asset_key else None
        if target is None:
            known = ", ".join(sorted(key.to_user_string() for key in self._targets)) or "the applied syncs"
            raise ConfigurationError(f"the input {context.name} is no asset of a sync; take one of {known}.")
        bucket_id, sync_config_id = target
        only = bool((context.definition_metadata or {}).get(ONLY_SYNC_METADATA))
        return self._load(bucket_id, sync=sync_config_id if only else None)
