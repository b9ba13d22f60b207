"""Metadata filters: tests on attribute values that a listing does not carry."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mixsync_dagster.model.filters import MetadataFilter

_ABSENT = object()


def metadata_test(filters: Sequence[MetadataFilter], attributes: Mapping[str, Mapping[str, Any]]) -> bool:
    """Return whether all filters pass.

    A field is looked for in every kind of attribute read; an absent one passes only `not_equals`, `not_contains` and
    `exists` with the value false.
    """
    return all(_passes(one, _find(one.field, attributes)) for one in filters)


def metadata_rules(filters: Sequence[MetadataFilter], kinds: frozenset[str]) -> str:
    """Return a digest of the filters, in any order, and of the kinds of attributes that they are asked of."""
    conditions = sorted(json.dumps(one.model_dump(mode="json"), sort_keys=True) for one in filters)
    return hashlib.blake2b(json.dumps([conditions, sorted(kinds)]).encode(), digest_size=16).hexdigest()


def _find(field: str, attributes: Mapping[str, Mapping[str, Any]]) -> Any:
    for values in attributes.values():
        if field in values:
            return values[field]
        if field.lower() in values:
            return values[field.lower()]
    return _ABSENT


def _passes(test: MetadataFilter, actual: Any) -> bool:
    operator = str(test.operator)
    if operator == "exists":
        return (actual is not _ABSENT) == (test.value is not False)
    if actual is _ABSENT:
        return operator in {"not_equals", "not_contains"}
    return _COMPARISONS[operator](actual, test.value)


def _contains(actual: Any, value: Any) -> bool:
    if isinstance(actual, list | tuple | set):
        return value in actual or str(value) in {str(one) for one in actual}
    return str(value) in str(actual)


def _equals(actual: Any, value: Any) -> bool:
    if isinstance(value, bool):
        return str(actual).lower() == str(value).lower()
    if str(actual) == str(value):
        # Before numbers: the text "nan" is equal to itself, the number is not.
        return True
    numbers = _numbers(actual, value)
    return numbers is not None and numbers[0] == numbers[1]


def _numbers(actual: Any, value: Any) -> tuple[float, float] | None:
    # Tags and user metadata are text, so that 10 has to be told from "9" by what both mean.
    try:
        return float(actual), float(value)
    except (TypeError, ValueError):
        return None


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def test(actual: Any, value: Any) -> bool:
        numbers = _numbers(actual, value)
        return compare(*numbers) if numbers is not None else compare(str(actual), str(value))

    return test


_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "equals": _equals,
    "not_equals": lambda actual, value: not _equals(actual, value),
    "contains": _contains,
    "not_contains": lambda actual, value: not _contains(actual, value),
    "gt": _ordered(lambda a, b: a > b),
    "lt": _ordered(lambda a, b: a < b),
    "gte": _ordered(lambda a, b: a >= b),
    "lte": _ordered(lambda a, b: a <= b),
}
