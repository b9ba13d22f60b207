"""Metadata filters."""

from __future__ import annotations

from typing import Any

import pytest

from mixsync_dagster.engine.attributes import metadata_rules, metadata_test
from mixsync_dagster.model.filters import FilterOperator, MetadataFilter


def passes(actual: Any, operator: str, value: Any) -> bool:
    test = MetadataFilter(field="x", operator=operator, value=value)  # type: ignore[arg-type]  # as a client writes it
    return metadata_test([test], {"tag": {"x": actual}})


def absent(operator: str, value: Any) -> bool:
    test = MetadataFilter(field="x", operator=operator, value=value)  # type: ignore[arg-type]  # as a client writes it
    return metadata_test([test], {"tag": {}, "metadata": {"y": "1"}})


def test_no_filters_pass() -> None:
    assert metadata_test([], {})


def test_contains_is_the_operator_when_none_is_named() -> None:
    assert metadata_test([MetadataFilter(field="x", value="bc")], {"tag": {"x": "abcd"}})


@pytest.mark.parametrize(
    ("actual", "operator", "value", "expected"),
    [
        ("red", "equals", "red", True),
        ("red", "equals", "Red", False),
        ("10", "equals", 10, True),
        ("10.0", "equals", 10, True),
        (10, "equals", 10, True),
        ("nan", "equals", "nan", True),
        ("inf", "equals", "inf", True),
        ("true", "equals", True, True),
        (True, "equals", True, True),
        ("1", "equals", True, False),
        ("red", "not_equals", "blue", True),
        ("red", "not_equals", "red", False),
        ("nan", "not_equals", "nan", False),
        ("10", "not_equals", 10.0, False),
        ("abcd", "contains", "bc", True),
        ("abcd", "contains", "BC", False),
        (["a", "b"], "contains", "b", True),
        (["ab"], "contains", "b", False),
        ([1, 2], "contains", "2", True),
        (123, "contains", "2", True),
        ("abcd", "not_contains", "x", True),
        ("abcd", "not_contains", "bc", False),
        ("9", "lt", 10, True),
        ("10", "gt", 9, True),
        ("10", "gt", 10, False),
        ("10", "gte", 10, True),
        ("10", "lte", 10, True),
        ("11", "lte", 10, False),
        ("2026-01-02", "gt", "2026-01-01", True),
        ("b", "lt", "a", False),
        ("anything", "exists", None, True),
        ("anything", "exists", True, True),
        ("", "exists", True, True),
        ("anything", "exists", False, False),
    ],
)
def test_a_present_value_is_compared(actual: Any, operator: str, value: Any, expected: bool) -> None:
    assert passes(actual, operator, value) is expected


@pytest.mark.parametrize(
    ("operator", "value", "expected"),
    [
        ("equals", "a", False),
        ("not_equals", "a", True),
        ("contains", "a", False),
        ("not_contains", "a", True),
        ("gt", 0, False),
        ("lt", 0, False),
        ("gte", 0, False),
        ("lte", 0, False),
        ("exists", None, False),
        ("exists", True, False),
        ("exists", False, True),
    ],
)
def test_an_absent_value_passes_only_what_asks_for_absence(operator: str, value: Any, expected: bool) -> None:
    assert absent(operator, value) is expected


def test_all_filters_must_pass() -> None:
    tests = [MetadataFilter(field="x", value="a"), MetadataFilter(field="y", value="b")]
    assert metadata_test(tests, {"tag": {"x": "a"}, "metadata": {"y": "b"}})
    assert not metadata_test(tests, {"tag": {"x": "a"}, "metadata": {"y": "c"}})


def test_metadata_keys_are_found_whatever_the_case_of_the_filter() -> None:
    assert metadata_test([MetadataFilter(field="Camera-Model", value="X")], {"metadata": {"camera-model": "X1"}})


def test_a_tag_is_found_by_its_exact_key() -> None:
    assert metadata_test([MetadataFilter(field="Team", value="a")], {"tag": {"Team": "a"}})
    assert not metadata_test([MetadataFilter(field="team", value="a")], {"tag": {"Team": "a"}})


def test_rules_differ_by_whatever_can_change_an_answer() -> None:
    tags = frozenset({"tag"})
    blue, other = MetadataFilter(field="x", value="blue"), MetadataFilter(field="x", value="a")
    rules = metadata_rules([blue, other], tags)
    assert metadata_rules([other, blue], frozenset({"tag"})) == rules
    changed = [
        metadata_rules([blue], tags),
        metadata_rules([blue, other], frozenset({"tag", "metadata"})),
        metadata_rules([blue.model_copy(update={"field": "y"}), other], tags),
        metadata_rules([blue.model_copy(update={"operator": FilterOperator.EQUALS}), other], tags),
        metadata_rules([blue.model_copy(update={"value": "red"}), other], tags),
        metadata_rules([blue.model_copy(update={"operator": FilterOperator.EQUALS, "value": True}), other], tags),
        metadata_rules([blue.model_copy(update={"operator": FilterOperator.EQUALS, "value": "true"}), other], tags),
    ]
    assert len({rules, *changed}) == 8
