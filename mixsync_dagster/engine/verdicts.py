"""File filters, compiled once and evaluated on whole columns, cheap tests first."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mixsync_dagster.engine.mime import mime_of
from mixsync_dagster.model.columns import FALSE, column, constant, moment
from mixsync_dagster.model.filters import FileFilters
from mixsync_dagster.model.syncs import SyncConfiguration

Test = Callable[[pa.Table], Any]
"""Takes rows, returns a boolean array: true where a row passes. Nulls count as false."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """The row-wise tests of one sync, each with the reason it stands for, in the order they are made."""

    tests: tuple[tuple[str, Test], ...]

    @classmethod
    def of(cls, sync: SyncConfiguration, root: str) -> ItemFilter:
        """Return the sync's filters; `root` is the folder that patterns with a slash are relative to."""
        tests: list[tuple[str, Test]] = []
        if sync.sync_from is not None:
            tests.append(("sync_from", _at_or_after(sync.sync_from)))
        if sync.file_filters is not None:
            tests += _tests_of(sync.file_filters, root)
        return cls(tuple(tests))

    def verdicts(self, table: pa.Table) -> pa.DictionaryArray:
        """Return for each row null when it passes, else the reason of the first test that it failed."""
        indices = pa.nulls(table.num_rows, pa.int32())
        remaining = column(range(table.num_rows), pa.int32()) if self.tests else None
        rows = table
        for number, (_, test) in enumerate(self.tests):
            passed = pc.fill_null(test(rows), fill_value=FALSE)
            if pc.all(passed).as_py() is not False:
                continue
            refused = pc.filter(remaining, pc.invert(passed))
            indices = _assign(indices, refused, number)
            remaining = pc.filter(remaining, passed)
            rows = rows.filter(passed)
        reasons = column([reason for reason, _ in self.tests], pa.string())
        return pa.DictionaryArray.from_arrays(indices, reasons)


def _assign(indices: pa.Array, positions: pa.Array, number: int) -> pa.Array:
    mask = pc.is_in(column(range(len(indices)), pa.int32()), value_set=positions)
    return pc.if_else(mask, constant(number, pa.int32()), indices)


def _tests_of(filters: FileFilters, root: str) -> list[tuple[str, Test]]:
    tests: list[tuple[str, Test]] = []
    if filters.min_size_bytes is not None:
        tests.append(("min_size_bytes", _size(pc.greater_equal, filters.min_size_bytes)))
    if filters.max_size_bytes is not None:
        tests.append(("max_size_bytes", _size(pc.less_equal, filters.max_size_bytes)))
    if filters.modified_after is not None:
        tests.append(("modified_after", _time(pc.greater, filters.modified_after)))
    if filters.modified_before is not None:
        tests.append(("modified_before", _time(pc.less, filters.modified_before)))
    if filters.extensions:
        tests.append(("extensions", _extensions(filters.extensions)))
    if filters.mime_types:
        tests.append(("mime_types", _mime_types(filters.mime_types)))
    if filters.include_patterns:
        tests.append(("include_patterns", _patterns(filters.include_patterns, root)))
    if filters.exclude_patterns:
        included = _patterns(filters.exclude_patterns, root)
        tests.append(("exclude_patterns", lambda rows: pc.invert(included(rows))))
    return tests


def _size(compare: Callable[[Any, Any], Any], bound: int) -> Test:
    scalar = constant(bound, pa.int64())
    return lambda rows: compare(rows.column("size_bytes"), scalar)


def _time(compare: Callable[[Any, Any], Any], bound: datetime) -> Test:
    scalar = moment(bound)
    return lambda rows: compare(rows.column("modified_at"), scalar)


def _at_or_after(bound: datetime) -> Test:
    # Inclusive, unlike modified_after: a position in time may never skip the items that share its last instant.
    return _time(pc.greater_equal, bound)


def _extensions(extensions: Sequence[str]) -> Test:
    endings = "|".join(re.escape(ending if ending.startswith(".") else "." + ending) for ending in extensions)
    pattern = rf"(?:{endings})\z"
    return lambda rows: pc.match_substring_regex(rows.column("path"), pattern, ignore_case=True)


def _mime_types(accepted: Sequence[str]) -> Test:
    exact = {one.lower() for one in accepted if not one.endswith("/*")}
    families = tuple(one[:-1].lower() for one in accepted if one.endswith("/*") and one != "*/*")
    anything = "*/*" in accepted

    def passes(path: str, told: str | None) -> bool:
        mime = mime_of(path, told)
        return mime is not None and (anything or mime in exact or mime.startswith(families))

    def test(rows: pa.Table) -> Any:
        pairs = zip(rows.column("path").to_pylist(), rows.column("mime_type").to_pylist(), strict=True)
        return column([passes(path, told) for path, told in pairs], pa.bool_())

    return test


def _patterns(patterns: Sequence[str], root: str) -> Test:
    """Return the test that any pattern matches: the name for those without a slash, else the path below the root."""
    by_name = _union([pattern for pattern in patterns if "/" not in pattern])
    by_path = _union([pattern for pattern in patterns if "/" in pattern])
    skipped = len(root)

    def matches(path: str) -> bool:
        if by_name is not None and by_name(path[path.rfind("/") + 1 :]) is not None:
            return True
        if by_path is None:
            return False
        below = path[skipped:]
        # With a leading slash as well, so that "*/drafts/*" also means a top-level "drafts" folder.
        return by_path(below) is not None or by_path("/" + below) is not None

    return lambda rows: column([matches(path) for path in rows.column("path").to_pylist()], pa.bool_())


def _union(patterns: Sequence[str]) -> Callable[[str], re.Match[str] | None] | None:
    # fnmatch's own translation: it is linear in the text, so that a pattern cannot stall the lock's renewal.
    return re.compile("|".join(map(fnmatch.translate, patterns))).match if patterns else None
