"""Whether a mapping fits the schema of the bucket that it fills, as far as that can be told before a run.

A constant is compared with the property as a whole. Of other sources only text is known: tags, metadata, parts of file
names and folders are text unless `json_parse` makes something else of them. Values of columns and Drive properties, and
what `auto` makes of a blob, are known at the source only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from types import MappingProxyType
from typing import Any

from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.buckets import BucketSchema, SchemaProperty, SchemaType
from mixsync_dagster.model.mapping import (
    BlobMappingEntry,
    BlobType,
    ConstantSource,
    FieldMappingEntry,
    SchemaMapping,
    Transform,
)
from mixsync_dagster.model.validation import shown

Loc = tuple[str | int, ...]

_TEXT_SOURCES = frozenset({"tag", "metadata", "filename_regex", "folder_path"})
_TEXT_TYPES = frozenset({SchemaType.STRING, SchemaType.DATE, SchemaType.DATETIME})
_MIME_FAMILIES = frozenset({"image", "video", "audio"})


def check_mapping_fills(mapping: SchemaMapping, schema: BucketSchema, *, bucket: str, where: str) -> None:
    """Return if every entry fills a property of its type and every required property has an entry.

    Raises InvalidInput with one problem an entry or property; paths begin with `where`, the path of the mapping.
    """
    problems: list[FieldProblem] = []
    filled: set[str] = set()
    for target, entry in mapping.mappings.items():
        path = f"{where}.mappings.{target}"
        if isinstance(entry, BlobMappingEntry):
            filled.add(entry.blob_property or target)
            problems += _blob_problems(entry, entry.blob_property or target, schema, bucket, path)
        else:
            filled.add(target)
            problems += _field_problems(entry, target, schema, bucket, path)
    for name, wanted in schema.properties.items():
        if wanted.required and name not in filled:
            path = f"{where}.mappings.{name}"
            kind = "blob" if wanted.type.is_blob else "field"
            said = f"{path} is missing; give a {kind} entry, for the schema of bucket {bucket} requires {name}."
            problems.append(FieldProblem(path, "", f"a {kind} entry", said))
    if problems:
        raise InvalidInput(problems)


def check_no_defaults(schema: BucketSchema, *, where: str) -> None:
    """Return if no property has a default, for buckets that fill in none. Raises InvalidInput naming those that do."""
    problems = []
    for loc, found in _properties(schema.properties):
        if found.default is not None:
            field = ".".join([where, *loc, "default"])
            value = shown(found.default)
            accepted = "no default: an embedded bucket fills in none, a mapping with a constant does"
            problems.append(FieldProblem(field, value, accepted, f"{field}: {value} is not accepted; give {accepted}."))
    if problems:
        raise InvalidInput(problems)


def _properties(properties: Mapping[str, SchemaProperty]) -> Iterator[tuple[tuple[str, ...], SchemaProperty]]:
    """Yield every property of a schema, those inside of others too, with the keys that lead to it."""
    for name, found in properties.items():
        yield from _inside(("properties", name), found)


def _inside(loc: tuple[str, ...], found: SchemaProperty) -> Iterator[tuple[tuple[str, ...], SchemaProperty]]:
    yield loc, found
    if found.items is not None:
        yield from _inside((*loc, "items"), found.items)
    for below, inner in _properties(found.properties or {}):
        yield (*loc, *below), inner


def _refused(field: str, value: str, reason: str, accepted: str) -> FieldProblem:
    return FieldProblem(field, value, accepted, f"{field}: {value} is not accepted, for {reason}; give {accepted}.")


def _one_of(names: list[str]) -> str:
    return f"one of {', '.join(sorted(names))}" if names else "no such entry"


def _blob_problems(
    entry: BlobMappingEntry, name: str, schema: BucketSchema, bucket: str, path: str
) -> Iterator[FieldProblem]:
    wanted = schema.properties.get(name)
    if wanted is None or not wanted.type.is_blob:
        blobs = [known for known, found in schema.properties.items() if found.type.is_blob]
        reason = f"the schema of bucket {bucket} has no blob of that name"
        yield _refused(f"{path}.blob_property", name, reason, _one_of(blobs))
        return
    reason = f"{name} is of type {wanted.type} in the schema of bucket {bucket}"
    if entry.blob_type is not BlobType.AUTO:
        if entry.blob_type.value != wanted.type.value:
            yield _refused(f"{path}.blob_type", entry.blob_type, reason, f"{wanted.type} or auto")
    elif entry.mime_type_override is not None:
        family = entry.mime_type_override.split("/", 1)[0].lower()
        if family in _MIME_FAMILIES and family != wanted.type.value:
            yield _refused(
                f"{path}.mime_type_override", entry.mime_type_override, reason, f"a MIME type of {wanted.type}"
            )


def _field_problems(
    entry: FieldMappingEntry, name: str, schema: BucketSchema, bucket: str, path: str
) -> Iterator[FieldProblem]:
    wanted = schema.properties.get(name)
    if wanted is None:
        fields = [known for known, found in schema.properties.items() if not found.type.is_blob]
        reason = f"the schema of bucket {bucket} has no such property"
        yield _refused(path, name, reason, _one_of(fields))
        return
    reason = f"{name} is of type {wanted.type} in the schema of bucket {bucket}"
    if wanted.type.is_blob:
        yield _refused(f"{path}.target_type", entry.target_type, reason, "blob")
    elif entry.transform is Transform.JSON_PARSE:
        return
    elif isinstance(entry.source, ConstantSource):
        listed = () if entry.transform else wanted.enum or ()
        if listed and entry.source.value not in listed:
            values = ", ".join(shown(value) for value in listed)
            said = f"the schema of bucket {bucket} lists the values of {name}"
            yield _refused(f"{path}.source.value", shown(entry.source.value), said, f"one of {values}")
            return
        for loc, value, accepted in _misfits(entry.source.value, wanted, ()):
            yield _refused(".".join([f"{path}.source.value", *map(str, loc)]), shown(value), reason, accepted)
    elif entry.source.type in _TEXT_SOURCES and wanted.type not in _TEXT_TYPES:
        given = entry.transform or "none"
        reason = f"{entry.source.type} gives text and {reason}"
        yield _refused(f"{path}.transform", given, reason, "json_parse")


def _misfits(value: Any, wanted: SchemaProperty, loc: Loc) -> Iterator[tuple[Loc, Any, str]]:
    """Yield each part of a constant that is not of its property's type, with where it is and what would be accepted."""
    if value is None and not wanted.required:
        return
    fits, accepted = _FITS.get(wanted.type, _NO_BLOB)
    if not fits(value):
        yield loc, value, accepted
    elif isinstance(value, list) and wanted.items is not None:
        for index, element in enumerate(value):
            yield from _misfits(element, wanted.items, (*loc, index))
    elif isinstance(value, dict) and wanted.properties is not None:
        for name, inner in wanted.properties.items():
            if name in value or inner.required:
                yield from _misfits(value.get(name), inner, (*loc, name))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_moment(read: Callable[[str], object]) -> Callable[[object], bool]:
    def fits(value: object) -> bool:
        if not isinstance(value, str):
            return False
        try:
            read(value)
        except ValueError:
            return False
        return True

    return fits


_FITS: Mapping[SchemaType, tuple[Callable[[object], bool], str]] = MappingProxyType(
    {
        SchemaType.STRING: (lambda value: isinstance(value, str), "text"),
        SchemaType.NUMBER: (_is_number, "a number"),
        SchemaType.FLOAT: (_is_number, "a number"),
        SchemaType.INTEGER: (lambda value: isinstance(value, int) and not isinstance(value, bool), "a whole number"),
        SchemaType.BOOLEAN: (lambda value: isinstance(value, bool), "true or false"),
        SchemaType.OBJECT: (lambda value: isinstance(value, dict), "a mapping"),
        SchemaType.ARRAY: (lambda value: isinstance(value, list), "a list"),
        SchemaType.DATE: (_is_moment(date.fromisoformat), "an ISO 8601 date, e.g. 2024-01-31"),
        SchemaType.DATETIME: (
            _is_moment(datetime.fromisoformat),
            "an ISO 8601 date and time, e.g. 2024-01-31T09:00:00Z",
        ),
    }
)
"""What a constant has to be for each type that is no blob, with its words."""

_NO_BLOB = (lambda _value: False, "no value: a blob stands beside an object's fields, not inside of one")
