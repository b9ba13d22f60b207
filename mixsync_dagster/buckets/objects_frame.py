"""The objects of a bucket as a pandas DataFrame, for notebooks and Dagster assets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from mixsync_dagster.ports.state import Catalog

_BLOB_COLUMNS = ("sha256", "size_bytes", "mime_type", "filename", "type")


def load_objects(
    catalog: Catalog,
    bucket_id: str,
    *,
    sync_config_id: str | None = None,
    location: Callable[[str], str] | None = None,
) -> pd.DataFrame:
    """Return the active objects of a bucket (of one sync when asked), one row each, in object id order.

    The columns of `Catalog.objects_table`, but `fields` becomes `fields.<name>` and `blobs` becomes
    `blobs.<property>.<sha256, size_bytes, mime_type, filename, type>`, with missing values where an object lacks them.
    Given `location` (of the blob store), `blobs.<property>.location` tells where the bytes are.
    """
    # Loaded here: it takes longer to import than everything else in this package.
    import pandas as pd

    table = catalog.objects_table(bucket_id, sync_config_id=sync_config_id)
    plain: pd.DataFrame = table.drop_columns(["fields", "blobs"]).to_pandas()
    rows = [
        _fields(fields) | _blobs(blobs, location)
        for fields, blobs in zip(table["fields"].to_pylist(), table["blobs"].to_pylist(), strict=True)
    ]
    expanded = pd.DataFrame.from_records(rows, index=plain.index)
    return pd.concat([plain, expanded[sorted(expanded.columns)]], axis="columns")


def _fields(text: str) -> dict[str, Any]:
    return {f"fields.{name}": value for name, value in json.loads(text).items()}


def _blobs(text: str, location: Callable[[str], str] | None) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for blob in json.loads(text):
        prefix = f"blobs.{blob['property']}"
        row.update({f"{prefix}.{name}": blob[name] for name in _BLOB_COLUMNS})
        if location is not None:
            row[f"{prefix}.location"] = location(blob["sha256"])
    return row
