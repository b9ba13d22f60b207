"""Keeps buckets in step with external storage, as a Dagster project."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["__version__", "load_objects"]

__version__ = "0.1.0"


def load_objects(bucket: str, *, sync: str | None = None) -> pd.DataFrame:
    """Return a bucket's objects as a DataFrame: a row an object, a column `fields.<name>` a mapped field.

    `bucket` and `sync` are ids or names; with `sync`, only the objects that this sync wrote last. Works on the state
    store that MIXSYNC_HOME or MIXSYNC_DATABASE_URL name. Raises NotFound, and ConfigurationError without a store.
    """
    from mixsync_dagster.wiring import load_objects as load

    return load(bucket, sync=sync)
