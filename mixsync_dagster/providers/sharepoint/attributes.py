"""The columns of a library as attributes of its files."""

from __future__ import annotations

from typing import Any

KIND = "sharepoint_column"
QUERY = "?$expand=listItem($expand=fields)"
"""One request brings the item, whose version is checked, and its columns; a delta cannot bring columns."""


def columns_of(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the columns by their internal names (spaces are _x0020_), values as JSON has them; empty in a OneDrive.

    Annotations of the protocol are left out.
    """
    fields = (entry.get("listItem") or {}).get("fields") or {}
    return {name: value for name, value in fields.items() if not name.startswith("@") and "@odata." not in name}
