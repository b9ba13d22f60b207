"""Column values of a listed row: they travel with the item, so that no statement is sent for them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mixsync_dagster.errors import ItemUnreadable
from mixsync_dagster.model.items import SourceItem


class ColumnValues(Mapping[str, Any]):
    """Values by column name: exactly so, else in upper case, as Snowflake reads names without quotes.

    NULL columns are absent; a BINARY column tells its SHA-256.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        return self._values[name] if name in self._values else self._values[name.upper()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def carried(item: SourceItem) -> dict[str, Any]:
    """Return the key and values that a listing put into the item. Raises ItemUnreadable for an item of another."""
    try:
        native: dict[str, Any] = json.loads(item.native or "")
        if isinstance(native["key"], list) and isinstance(native["values"], dict):
            return native
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise ItemUnreadable(f"{item.path} was not listed by this provider.", error_type="validation_error")
