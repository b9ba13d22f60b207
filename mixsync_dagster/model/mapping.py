"""Schema mapping: how a source item's values become fields and blobs of its object."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import re2
from pydantic import AfterValidator, Field, model_validator

from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.base import Flag, Json, Model, Text, field_not_accepted, not_accepted
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.provider_kinds import KINDS

MAX_REGEX_CHARS = 512
MIN_SEGMENT, MAX_SEGMENT = -1024, 1023

_MIME_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*"
PlainMimeType = Annotated[
    str, Text(3, 255, pattern=rf"^{_MIME_NAME}/{_MIME_NAME}$", accepted="a MIME type such as image/jpeg")
]

_UNSUPPORTED = (
    (("(?<=", "(?<!"), "look-behind"),
    (("(?=", "(?!"), "look-ahead"),
    (("(?P=",), "back-references"),
    (("(?>",), "atomic groups"),
    (("(?(",), "conditional groups"),
)


def compile_pattern(pattern: str) -> Any:
    r"""Return the compiled RE2 pattern, to be used with `.search`; matching takes time linear in the file name.

    Raises ValueError with RE2's own words when the pattern is not valid RE2 syntax.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "unknown reason"
        raise ValueError(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)) from None


def _reason(pattern: str, words: str) -> str:
    """Return RE2's refusal in words for a user: name the feature where it is one that RE2 leaves out on purpose."""
    for signs, feature in _UNSUPPORTED:
        # RE2 quotes the operator that it stopped at, sometimes only its beginning.
        if words.startswith("invalid perl operator") and any(sign in pattern for sign in signs):
            return f"a pattern without {feature}, which RE2 does not support"
    if words.startswith("invalid escape sequence: \\") and words[-1:].isdigit():
        return "a pattern without back-references, which RE2 does not support"
    return f"a valid RE2 pattern ({words})"


def _checked_pattern(pattern: str) -> str:
    try:
        groups = compile_pattern(pattern).groups
    except ValueError as error:
        raise not_accepted(_reason(pattern, str(error))) from None
    if groups != 1:
        raise not_accepted(f"a pattern with exactly one capture group, not {groups}; (?:...) groups without capturing")
    return pattern


class FileSource(Model):
    """The synced file itself."""

    type: Literal["file"] = Field(description="Always file.")


class TagSource(Model):
    """An object tag."""

    type: Literal["tag"] = Field(description="Always tag.")
    key: Annotated[str, Text(1, 128)] = Field(description="Tag key, case-sensitive, 1 to 128 characters.")


class MetadataSource(Model):
    """User metadata (x-amz-meta-*) of an object."""

    type: Literal["metadata"] = Field(description="Always metadata.")
    key: Annotated[str, Text(1, 1024)] = Field(
        description="Metadata key without x-amz-meta-, case-insensitive, 1 to 1024 characters."
    )


class FilenameRegexSource(Model):
    """The capture group of a pattern that is searched in the file name."""

    type: Literal["filename_regex"] = Field(description="Always filename_regex.")
    pattern: Annotated[str, Text(1, MAX_REGEX_CHARS), AfterValidator(_checked_pattern)] = Field(
        description="RE2 pattern with exactly one capture group, 1 to 512 characters, searched anywhere in the file "
        "name (not the path). Look-around and back-references are not supported.",
        examples=[r"_(\d+)_", r"\.(\w+)$"],
    )
    default: Annotated[str, Text(0)] | None = Field(
        default=None, description="Value when the pattern does not match. None: the value is missing then."
    )


class ColumnSource(Model):
    """A column of the table."""

    type: Literal["column"] = Field(description="Always column.")
    name: Annotated[str, Text()] = Field(description="Column name; Snowflake compares it case-insensitively.")


class DrivePropertySource(Model):
    """A built-in property of a Drive file, or else one of its appProperties."""

    type: Literal["drive_property"] = Field(description="Always drive_property.")
    key: Annotated[str, Text()] = Field(
        description="name, mimeType, description, starred, trashed, createdTime, modifiedTime, size, webViewLink, "
        "parents, or a key of appProperties; case-sensitive."
    )


class SharePointColumnSource(Model):
    """A column of the document library."""

    type: Literal["sharepoint_column"] = Field(description="Always sharepoint_column.")
    key: Annotated[str, Text()] = Field(
        description="Internal name of the column, case-sensitive; a space is _x0020_ in it.",
        examples=["Team_x0020_Name"],
    )


def _checked_segment(segment: int) -> int:
    if isinstance(segment, bool) or not MIN_SEGMENT <= segment <= MAX_SEGMENT:
        raise not_accepted("a whole number: 0 for the first folder, -1 for the last")
    return segment


class FolderPathSource(Model):
    """A folder of the item's path inside its container, by default the immediate parent."""

    type: Literal["folder_path"] = Field(description="Always folder_path.")
    segment: Annotated[int, Field(strict=True), AfterValidator(_checked_segment)] | None = Field(
        default=None,
        description="Which folder: 0 is the first, 1 the second, -1 the last. None: the immediate parent. Out of "
        "range: the value is missing.",
    )
    full_path: Flag = Field(
        default=False, description="Whether to take all folders, joined by /, without the file name."
    )

    @model_validator(mode="after")
    def _check_choice(self) -> Self:
        if self.full_path and self.segment is not None:
            raise field_not_accepted("segment", self.segment, "either segment or full_path: true, not both")
        return self


class ConstantSource(Model):
    """The same value for every item."""

    type: Literal["constant"] = Field(description="Always constant.")
    value: Json = Field(description="Any JSON value, null included.")


FieldSource = Annotated[
    TagSource
    | MetadataSource
    | FilenameRegexSource
    | ColumnSource
    | DrivePropertySource
    | SharePointColumnSource
    | FolderPathSource
    | ConstantSource,
    Field(discriminator="type"),
]
BlobSource = Annotated[
    FileSource
    | TagSource
    | MetadataSource
    | FilenameRegexSource
    | ColumnSource
    | DrivePropertySource
    | SharePointColumnSource
    | FolderPathSource
    | ConstantSource,
    Field(discriminator="type"),
]


class Transform(StrEnum):
    """What is done to a field's value after extraction."""

    LOWERCASE = "lowercase"
    UPPERCASE = "uppercase"
    TRIM = "trim"
    JSON_PARSE = "json_parse"


class BlobType(StrEnum):
    """What a blob is; `auto` tells it by the MIME type."""

    AUTO = "auto"
    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    TEXT = "text"
    PDF = "pdf"
    EXCEL = "excel"


class FieldMappingEntry(Model):
    """Fills a field of the object."""

    target_type: Literal["field"] = Field(description="Always field.")
    source: FieldSource = Field(
        description="Where the value comes from: tag, metadata, filename_regex, column, drive_property, "
        "sharepoint_column, folder_path or constant."
    )
    transform: Transform | None = Field(
        default=None,
        description="lowercase, uppercase, trim (text and lists of text, other values stay) or json_parse. None: "
        "as it is.",
    )
    required: Flag = Field(
        default=False,
        description="Whether an item without the value fails (it becomes a dead letter, the run goes on). When "
        "false the field is left out.",
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_file(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and isinstance(data.get("source"), Mapping):
            kind = data["source"].get("type")
            if kind == "file":
                accepted = "another source for a field; the source file is for target_type: blob"
                raise field_not_accepted(("source", "type"), kind, accepted)
        return data


class BlobMappingEntry(Model):
    """Fills a blob of the object."""

    target_type: Literal["blob"] = Field(description="Always blob.")
    source: BlobSource = Field(
        description="Where the bytes come from: file, the synced file itself; column, what the URL in a table's column "
        "names, fetched when the row is new or changed, from hosts of MIXSYNC_FETCH_HOSTS only (without a URL there is "
        "no blob). Other sources are not accepted."
    )
    blob_type: BlobType = Field(
        default=BlobType.AUTO,
        description="What the blob is: image, video, audio, text, pdf, excel, or auto (by the MIME type).",
    )
    blob_property: Annotated[str, Text(1, 100)] | None = Field(
        default=None,
        description="Blob property of the bucket schema, 1 to 100 characters. None: the key of the mapping.",
    )
    mime_type_override: PlainMimeType | None = Field(
        default=None, description="MIME type (type/subtype) that wins over detection. None: detected."
    )


MappingEntry = Annotated[FieldMappingEntry | BlobMappingEntry, Field(discriminator="target_type")]


class SchemaMapping(Model):
    """What an item's object is made of. Replaces the provider's default as a whole."""

    mappings: dict[Annotated[str, Text(1, 100)], MappingEntry] = Field(
        description="Names of bucket schema fields (1 to 100 characters), each with what fills it."
    )

    @model_validator(mode="after")
    def _name_blob_properties(self) -> Self:
        owners: dict[str, str] = {}
        named: dict[str, FieldMappingEntry | BlobMappingEntry] = {}
        for target, entry in self.mappings.items():
            named[target] = entry
            if isinstance(entry, BlobMappingEntry):
                blob_property = entry.blob_property or target
                if blob_property in owners:
                    accepted = f"a property of its own: {owners[blob_property]} fills it already"
                    raise field_not_accepted(("mappings", target, "blob_property"), blob_property, accepted)
                owners[blob_property] = target
                named[target] = entry.model_copy(update={"blob_property": blob_property})
        # The instance is not handed out yet; frozen is for its users.
        self.__dict__["mappings"] = named
        return self

    @property
    def fields(self) -> Mapping[str, FieldMappingEntry]:
        """The entries that fill fields, by target name."""
        return {name: entry for name, entry in self.mappings.items() if isinstance(entry, FieldMappingEntry)}

    @property
    def blobs(self) -> Mapping[str, BlobMappingEntry]:
        """The entries that fill blobs, by target name."""
        return {name: entry for name, entry in self.mappings.items() if isinstance(entry, BlobMappingEntry)}

    @property
    def source_types(self) -> frozenset[str]:
        """The kinds of source that the mapping asks for."""
        return frozenset(entry.source.type for entry in self.mappings.values())


def default_mapping(provider: ProviderType) -> SchemaMapping:
    """Return the mapping of a sync that gives none: the file as blob `content`.

    For rows of a table it is empty, which there means: every column becomes a field of its name in lower case.
    """
    if KINDS[provider].columns_by_default:
        return SchemaMapping(mappings={})
    content = BlobMappingEntry(target_type="blob", source=FileSource(type="file"))
    return SchemaMapping(mappings={"content": content})


def check_mapping_fits(mapping: SchemaMapping, provider: ProviderType, *, where: str = "schema_mapping") -> None:
    """Return if the provider has every source of the mapping. Raises InvalidInput naming entries that do not fit."""
    offered = KINDS[provider].sources
    problems = []
    for target, entry in mapping.mappings.items():
        kind = entry.source.type
        if kind not in offered:
            field = f"{where}.mappings.{target}.source.type"
            accepted = f"one of {', '.join(sorted(offered))}"
            message = f"{field}: {kind} is not accepted, for {provider} has no such source; give {accepted}."
            problems.append(FieldProblem(field, kind, accepted, message))
    if problems:
        raise InvalidInput(problems)


def check_blobs_offered(mapping: SchemaMapping, *, where: str = "schema_mapping") -> None:
    """Return if every blob is the synced file or behind the URL in a column. Raises InvalidInput."""
    problems = []
    for target, entry in mapping.blobs.items():
        if entry.source.type not in ("file", "column"):
            field = f"{where}.mappings.{target}.source.type"
            accepted = "file or column, or map the value as a field"
            message = f"{field}: {entry.source.type} is not accepted, for a blob's URL is not fetched; give {accepted}."
            problems.append(FieldProblem(field, entry.source.type, accepted, message))
    if problems:
        raise InvalidInput(problems)
