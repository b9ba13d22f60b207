"""File filters: which of the listed items a sync takes.

All given filters must pass (AND). Within `include_patterns`, `extensions` and `mime_types` one matching entry is
enough; one matching entry of `exclude_patterns` rejects and wins. An empty list is the same as none at all. An item
that lacks what a filter needs (no size, no time, no MIME type) does not pass it.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from mixsync_dagster.model.base import (
    Accepted,
    Model,
    Text,
    UtcDatetime,
    WholeNumber,
    checked_json,
    field_not_accepted,
    not_accepted,
)

MAX_PATTERN_CHARS = 1024

_MIME_NAME = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"
_MIME = re.compile(rf"(?:\*/\*|{_MIME_NAME}/(?:\*|{_MIME_NAME})?)")


def _checked_glob(pattern: str) -> str:
    if "\n" in pattern or len(pattern) > MAX_PATTERN_CHARS:
        raise not_accepted(f"a glob of one line and at most {MAX_PATTERN_CHARS} characters")
    position = pattern.find("[")
    while position != -1:
        # As in fnmatch, a "]" right after "[" or "[!" is a member of the set, not its end.
        first = position + 2 if pattern[position + 1 : position + 2] == "!" else position + 1
        end = pattern.find("]", first + 1)
        if end == -1:
            raise not_accepted("a glob whose every [ is closed by ] (a literal [ is written [[])")
        for low, high in re.findall(r"(?s)(.)-(.)", pattern[first:end]):
            if low > high:
                raise not_accepted(f"a glob whose ranges go upwards ({low}-{high} matches nothing)")
        position = pattern.find("[", end + 1)
    return pattern


def _checked_extension(extension: str) -> str:
    bare = extension.removeprefix(".")
    if not bare.strip() or any(character in bare for character in "/*?[]"):
        raise not_accepted("a file extension such as .mp4 or tar.gz (globs go into include_patterns)")
    return extension


def _checked_mime_type(mime_type: str) -> str:
    lowered = mime_type.strip().lower()
    if not _MIME.fullmatch(lowered):
        raise not_accepted("a MIME type such as image/jpeg, video/* or */*")
    return lowered + "*" if lowered.endswith("/") else lowered


Glob = Annotated[str, Text(accepted="a glob of at least one character"), AfterValidator(_checked_glob)]
Extension = Annotated[str, Text(accepted="a file extension such as .mp4"), AfterValidator(_checked_extension)]
MimeType = Annotated[str, Text(accepted="a MIME type such as video/*"), AfterValidator(_checked_mime_type)]
SizeBytes = Annotated[int, WholeNumber(0, unit="bytes")]


class FilterOperator(StrEnum):
    """How a metadata filter compares."""

    EQUALS = "equals"
    NOT_EQUALS = "not_equals"
    CONTAINS = "contains"
    NOT_CONTAINS = "not_contains"
    GT = "gt"
    LT = "lt"
    GTE = "gte"
    LTE = "lte"
    EXISTS = "exists"


_TEXT_OPERATORS = frozenset({FilterOperator.CONTAINS, FilterOperator.NOT_CONTAINS})
_ORDER_OPERATORS = frozenset({FilterOperator.GT, FilterOperator.LT, FilterOperator.GTE, FilterOperator.LTE})


class MetadataFilter(Model):
    """One condition on an attribute that the provider keeps with the item (user metadata, tag, property, column)."""

    field: Annotated[str, Text(1, 1024)] = Field(
        description="Name of the attribute at the provider. 1 to 1024 characters."
    )
    operator: FilterOperator = Field(
        default=FilterOperator.CONTAINS,
        description="How the attribute is compared with `value`: equals, not_equals, contains, not_contains, gt, lt, "
        "gte, lte or exists.",
    )
    value: (
        Annotated[
            StrictBool | StrictInt | StrictFloat | StrictStr,
            AfterValidator(checked_json),
            Accepted("text, a finite number, true or false"),
        ]
        | None
    ) = Field(
        default=None,
        description="What to compare with: text for contains and not_contains, a number or text for gt, lt, gte, lte. "
        "For exists, true (or none) asks for the attribute, false for its absence.",
    )

    @model_validator(mode="after")
    def _check_value(self) -> Self:
        accepted = None
        if self.operator is FilterOperator.EXISTS:
            if self.value is not None and not isinstance(self.value, bool):
                accepted = "true, false or no value with the operator exists"
        elif self.value is None:
            accepted = f"a value to compare with, for the operator is {self.operator}"
        elif self.operator in _TEXT_OPERATORS and not isinstance(self.value, str):
            accepted = f"text with the operator {self.operator}"
        elif self.operator in _ORDER_OPERATORS and isinstance(self.value, bool):
            accepted = f"a number or text with the operator {self.operator}"
        if accepted is not None:
            raise field_not_accepted("value", self.value, accepted)
        return self


class FileFilters(Model):
    """Rules that limit which files are synced; with none given, all files under the source path are."""

    include_patterns: tuple[Glob, ...] | None = Field(
        default=None,
        description="Globs (* ? [abc], case-sensitive, * crosses folders), one of which must match. A pattern without "
        "/ is matched with the file name in any folder, one with / with the path from the source path. None: all.",
        examples=[["*.mp4", "*.mov"]],
    )
    exclude_patterns: tuple[Glob, ...] | None = Field(
        default=None,
        description="Globs, none of which may match; they win over every other filter. None: nothing is excluded.",
        examples=[["*/drafts/*", "*.tmp", ".DS_Store"]],
    )
    extensions: tuple[Extension, ...] | None = Field(
        default=None,
        description="File name endings, one of which must match; the leading dot is optional, case does not matter, "
        "a file name without a dot never matches. None: all.",
        examples=[[".mp4", ".jpg"]],
    )
    min_size_bytes: SizeBytes | None = Field(
        default=None, description="Smallest size in bytes, inclusive, 0 or more. None: no lower bound.", examples=[1024]
    )
    max_size_bytes: SizeBytes | None = Field(
        default=None,
        description="Largest size in bytes, inclusive, 0 or more. None: no upper bound.",
        examples=[52428800],
    )
    modified_after: UtcDatetime | None = Field(
        default=None,
        description="Only files modified later than this moment (exclusive), ISO 8601; without an offset it is UTC. "
        "None: no bound.",
        examples=["2024-01-01T00:00:00Z"],
    )
    modified_before: UtcDatetime | None = Field(
        default=None,
        description="Only files modified earlier than this moment (exclusive), ISO 8601; without an offset it is UTC. "
        "None: no bound.",
    )
    mime_types: tuple[MimeType, ...] | None = Field(
        default=None,
        description="MIME types, one of which must match; type/* (or type/) stands for a family, */* for any known "
        "type. Where the listing tells no type it is guessed from the file name. None: all.",
        examples=[["video/*", "image/jpeg"]],
    )
    metadata_filters: tuple[MetadataFilter, ...] | None = Field(
        default=None,
        description="Conditions on attributes kept at the provider, all of which must hold. They cost one call an item "
        "where the listing does not carry attributes. A refused file is asked again when it or the conditions change, "
        "and by a full sync (`--full`), since tags can change without the listing telling. None: no condition.",
    )

    @model_validator(mode="after")
    def _check_bounds(self) -> Self:
        low, high = self.min_size_bytes, self.max_size_bytes
        if low is not None and high is not None and low > high:
            raise field_not_accepted("min_size_bytes", low, f"at most max_size_bytes, which is {high}")
        after, before = self.modified_after, self.modified_before
        if after is not None and before is not None and after >= before:
            accepted = f"a moment before modified_before, which is {before.isoformat()}"
            raise field_not_accepted("modified_after", after.isoformat(), accepted)
        return self

    @property
    def suffixes(self) -> tuple[str, ...]:
        """The extensions in lower case with their leading dot; empty when there are none."""
        return tuple("." + extension.lower().removeprefix(".") for extension in self.extensions or ())
