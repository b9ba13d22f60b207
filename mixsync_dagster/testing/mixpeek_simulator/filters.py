"""The filters of lists: shorthand equality, conditions, and AND, OR, NOT over them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mixsync_dagster.testing.mixpeek_simulator.answers import Refused

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda found, value: found == value,
    "ne": lambda found, value: found != value,
    "in": lambda found, value: found in value,
    "nin": lambda found, value: found not in value,
    "exists": lambda found, value: (found is not None) == bool(value),
    "starts_with": lambda found, value: isinstance(found, str) and found.startswith(value),
}
"""Those of the vendor's operators that are simulated."""


def accepts(filters: Mapping[str, Any] | None, entry: Mapping[str, Any]) -> bool:
    """Return whether the filters take the entry. Raises Refused (422) for what is not simulated."""
    for name, value in (filters or {}).items():
        if value is None or name == "case_sensitive":
            continue
        if name in ("AND", "OR", "NOT"):
            verdicts = [_one(part, entry) for part in value]
            if not {"AND": all(verdicts), "OR": any(verdicts), "NOT": not any(verdicts)}[name]:
                return False
        elif _found(entry, name) != value:
            return False
    return True


def _one(part: Mapping[str, Any], entry: Mapping[str, Any]) -> bool:
    if "field" not in part:
        return accepts(part, entry)
    operator = part.get("operator", "eq")
    if operator not in _OPERATORS:
        raise Refused(422, "ValidationError", f"operator {operator} is not simulated")
    return _OPERATORS[operator](_found(entry, part["field"]), part["value"])


def _found(entry: Mapping[str, Any], path: str) -> Any:
    value: Any = entry
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
