"""Schema mapping, compiled once: from an item and its attributes to an object's fields and blobs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import re2

from mixsync_dagster.engine.mime import blob_type_of, mime_of
from mixsync_dagster.errors import ConfigurationError, MappingFailed
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.model.mapping import (
    BlobMappingEntry,
    ColumnSource,
    FieldMappingEntry,
    SchemaMapping,
    check_mapping_fits,
    default_mapping,
)
from mixsync_dagster.model.objects import Blob, StoredBlob
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.fetching import Fetched
from mixsync_dagster.ports.provider import Capabilities

Attributes = Mapping[str, Mapping[str, Any]]
"""{kind: {key: value}} as `AttributeSource.read_attributes` returns it."""

MISSING = object()
"""Says that a source has no value; None is a value."""

Extract = Callable[[SourceItem, Attributes], Any]

_COLUMN = "column"
_UNSURE = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class _Field:
    target: str
    extract: Extract
    transform: Callable[[Any], Any] | None
    transform_name: str | None
    required: bool


@dataclass(frozen=True, slots=True)
class _Blob:
    property: str
    blob_type: str
    mime_override: str | None

    def over(self, stored: StoredBlob, filename: str, told: str | None) -> Blob:
        """Return the blob over stored bytes; `told` is their MIME type, None when nobody knows."""
        return Blob(
            property=self.property,
            type=_type_of(self, told),
            filename=filename,
            mime_type=self.mime_override or told or _UNSURE,
            size_bytes=stored.size_bytes,
            sha256=stored.sha256,
        )


@dataclass(frozen=True, slots=True)
class ItemMapping:
    """What one sync takes from an item: fields by value, blobs from the item's bytes or from behind a URL."""

    fields: tuple[_Field, ...]
    blobs: tuple[_Blob, ...]
    """Blobs of the item's own bytes."""
    attribute_kinds: frozenset[str]
    """Kinds of attributes that the fields need; empty when a listing's columns are enough."""
    whole_rows: bool = False
    """Whether every column of a row becomes a field of its name in lower case."""
    linked: Mapping[str, tuple[_Blob, str]] = field(default_factory=dict)
    """Blobs behind URLs by property, each with the column that holds the URL."""

    @classmethod
    def of(cls, sync: SyncConfiguration, provider: str, capabilities: Capabilities) -> ItemMapping:
        """Return the sync's mapping, or the provider's default one. Raises ConfigurationError for what does not fit."""
        if sync.schema_mapping is None and capabilities.rows:
            return cls((), (), frozenset({_COLUMN}) & capabilities.attribute_kinds, whole_rows=True)
        kind = ProviderType(provider)
        mapping = sync.schema_mapping or default_mapping(kind)
        check_mapping_fits(mapping, kind)
        return cls(
            fields=tuple(_fields_of(mapping)),
            blobs=tuple(_blobs_of(mapping)),
            attribute_kinds=_kinds_of(mapping) & capabilities.attribute_kinds,
            linked=_linked_of(mapping),
        )

    @property
    def has_blobs(self) -> bool:
        """Whether objects have bytes."""
        return bool(self.blobs or self.linked)

    @property
    def asks(self) -> bool:
        """Whether anything but the item's bytes is taken."""
        return bool(self.fields or self.whole_rows or self.linked)

    def fields_of(self, item: SourceItem, attributes: Attributes) -> dict[str, Any]:
        """Return the object's fields; sources without a value are left out. Raises MappingFailed."""
        values: dict[str, Any] = {}
        if self.whole_rows:
            values = {name.lower(): value for name, value in attributes.get(_COLUMN, {}).items()}
        for one in self.fields:
            value = one.extract(item, attributes)
            if value is MISSING:
                if one.required:
                    raise MappingFailed(f"required field {one.target} has no value at the source.")
                continue
            if one.transform is not None:
                try:
                    value = one.transform(value)
                except ValueError as error:
                    raise MappingFailed(
                        f"field {one.target}: transform {one.transform_name} cannot take the value ({error}).",
                        error_type="validation_error",
                    ) from error
            values[one.target] = value
        return values

    def links_of(self, attributes: Attributes) -> dict[str, str]:
        """Return the URLs of the object's blobs, by property; columns that are NULL or empty give none.

        Raises MappingFailed for a value that is no text.
        """
        links: dict[str, str] = {}
        for name, (_, column) in self.linked.items():
            value = attributes.get(_COLUMN, {}).get(column)
            if value is None or value == "":
                continue
            if not isinstance(value, str):
                raise MappingFailed(f"blob {name}: column {column} holds no text.", error_type="validation_error")
            links[name] = value
        return links

    def blobs_of(self, item: SourceItem, stored: StoredBlob) -> list[Blob]:
        """Return the object's blobs over its stored bytes; a content type of no known kind makes a `binary` one."""
        told = mime_of(item.name, item.mime_type)
        return [one.over(stored, item.name, told) for one in self.blobs]

    def linked_blob(self, name: str, answer: Fetched, stored: StoredBlob) -> Blob:
        """Return the blob of this property over what was fetched."""
        one, _ = self.linked[name]
        return one.over(stored, answer.filename, mime_of(answer.filename, answer.mime_type))


def _type_of(blob: _Blob, told: str | None) -> str:
    if blob.blob_type != "auto":
        return blob.blob_type
    # Storage holds more kinds of files than processing knows; their bytes are kept all the same.
    return blob_type_of(blob.mime_override or told) or "binary"


def _kinds_of(mapping: SchemaMapping) -> frozenset[str]:
    return frozenset(entry.source.type for entry in mapping.mappings.values())


def _blobs_of(mapping: SchemaMapping) -> Iterator[_Blob]:
    for target, entry in mapping.blobs.items():
        kind = entry.source.type
        if kind == "file":
            yield _blob_of(target, entry)
        elif kind != _COLUMN:
            raise ConfigurationError(
                f"schema_mapping.mappings.{target}: blobs from source type {kind} are not fetched; use source type "
                "file or column for a blob, or map the value as a field."
            )


def _linked_of(mapping: SchemaMapping) -> dict[str, tuple[_Blob, str]]:
    linked = {}
    for target, entry in mapping.blobs.items():
        if isinstance(entry.source, ColumnSource):
            blob = _blob_of(target, entry)
            linked[blob.property] = (blob, entry.source.name)
    return linked


def _blob_of(target: str, entry: BlobMappingEntry) -> _Blob:
    return _Blob(entry.blob_property or target, str(entry.blob_type), entry.mime_type_override)


def _fields_of(mapping: SchemaMapping) -> list[_Field]:
    return [
        _Field(
            target=target,
            extract=_extractor(entry.source),
            transform=_TRANSFORMS[str(entry.transform)] if entry.transform else None,
            transform_name=str(entry.transform) if entry.transform else None,
            required=entry.required,
        )
        for target, entry in mapping.mappings.items()
        if isinstance(entry, FieldMappingEntry)
    ]


def _extractor(source: Any) -> Extract:
    kind = source.type
    if kind == "constant":
        return lambda _item, _attributes: source.value
    if kind == "folder_path":
        return _folder(source.segment, full_path=source.full_path)
    if kind == "filename_regex":
        return _filename_group(source.pattern, source.default)
    key = source.name if kind == "column" else source.key
    folded = key.lower() if kind == "metadata" else key
    return lambda _item, attributes: attributes.get(kind, {}).get(folded, MISSING)


def _filename_group(pattern: str, default: str | None) -> Extract:
    # RE2, because a pattern that backtracks would stall the whole process, the lock's renewal included.
    compiled = re2.compile(pattern)
    fallback = MISSING if default is None else default

    def extract(item: SourceItem, _attributes: Attributes) -> Any:
        match = compiled.search(item.name)
        if match is None or match.group(1) is None:
            return fallback
        return match.group(1)

    return extract


def _folder(segment: int | None, *, full_path: bool) -> Extract:
    def extract(item: SourceItem, _attributes: Attributes) -> Any:
        folders = [part for part in item.path.split("/")[:-1] if part]
        if full_path:
            return "/".join(folders) if folders else MISSING
        try:
            return folders[-1 if segment is None else segment]
        except IndexError:
            return MISSING

    return extract


def _over_items(change: Callable[[str], str]) -> Callable[[Any], Any]:
    """Return the transform for strings and for the strings of a list; other values stay as they are."""

    def apply(value: Any) -> Any:
        if isinstance(value, str):
            return change(value)
        if isinstance(value, list):
            return [change(one) if isinstance(one, str) else one for one in value]
        return value

    return apply


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no JSON number")
    return number


def _parse_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_float=_finite, parse_constant=_finite)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


_TRANSFORMS: Mapping[str, Callable[[Any], Any]] = {
    "lowercase": _over_items(str.lower),
    "uppercase": _over_items(str.upper),
    "trim": _over_items(str.strip),
    "json_parse": _parse_json,
}
