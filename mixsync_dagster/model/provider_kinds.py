"""What there is to know of each provider before it is asked anything: one row each, read by whoever needs a part of it.

A new provider is a package below `providers/`, a module with its settings and credentials, their names in
`provider_configs`, a row here and, where it has one, its library in `pyproject.toml`: a test adds one that way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from pydantic import BaseModel

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model import credentials, paths, provider_configs
from mixsync_dagster.model.provider_configs import ProviderType

_EVERYWHERE = frozenset({"file", "filename_regex", "constant"})
_FILES = _EVERYWHERE | {"folder_path"}


@dataclass(frozen=True, slots=True)
class FilterKey:
    """A key of `provider_filters`."""

    accepts: Callable[[object], bool]
    accepted: str
    """The accepted form in words."""
    said: str = ""
    """What a person is told that it does, where its name does not say so."""


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """One provider, as data."""

    provider: ProviderType
    config: type[BaseModel]
    """Settings with credentials."""
    credentials: tuple[type[BaseModel], ...]
    """The kinds of credentials that it takes."""
    parse_path: Callable[[str, str], object]
    """(source path, name of the field for errors) -> its parts, in a form of the provider's; raises InvalidInput."""
    path_form: str
    """The form of source paths in words."""
    nowhere: str
    """A source path that nobody has, {0} being drawn: a provider that says so has accepted the credentials."""
    sources: frozenset[str]
    """The kinds of mapping source that it has."""
    factory: str
    """The module whose `from_connection` makes it; imported on first use."""
    reads: str
    """What it reads, for people."""
    privilege: str
    """The least that it has to be granted, for people."""
    filters: Mapping[str, FilterKey] = field(default_factory=lambda: MappingProxyType({}))
    """The keys of `provider_filters` that it knows."""
    library: tuple[str, str] | None = None
    """The library that it needs and that is not always installed, and the extra that installs it."""
    trusts_by_environment: bool = False
    """The library takes the certificates to trust from the environment, and in no other way."""
    columns_by_default: bool = False
    """Without a mapping every column becomes a field, instead of the file a blob."""


def _is_key_part(value: object) -> bool:
    return isinstance(value, str) and len(value.encode("utf-8", "surrogatepass")) <= paths.MAX_KEY_BYTES


def _is_name(value: object) -> bool:
    return isinstance(value, str) and bool(value)


_PREFIX = FilterKey(
    _is_key_part,
    f"the beginning of keys below the source path, text of at most {paths.MAX_KEY_BYTES} bytes",
    said="the beginning of keys below the source path",
)

_ROWS = (
    ProviderKind(
        provider=ProviderType.S3,
        config=provider_configs.S3Config,
        credentials=(credentials.S3AccessKeyCredentials, credentials.S3RoleCredentials),
        parse_path=paths.parse_s3_path,
        path_form="bucket or bucket/prefix",
        nowhere="mixsync-test-{0}",
        sources=_FILES | {"tag", "metadata"},
        factory="mixsync_dagster.providers.s3.factory",
        reads="Amazon S3 and compatible services",
        privilege="the policy below",
        filters=MappingProxyType({"prefix": _PREFIX}),
    ),
    ProviderKind(
        provider=ProviderType.TIGRIS,
        config=provider_configs.TigrisConfig,
        credentials=(credentials.TigrisAccessKeyCredentials,),
        parse_path=paths.parse_s3_path,
        path_form="bucket or bucket/prefix",
        nowhere="mixsync-test-{0}",
        sources=_FILES | {"tag", "metadata"},
        factory="mixsync_dagster.providers.s3.factory",
        reads="Tigris",
        privilege="an access key with the role ReadOnly on the bucket",
        filters=MappingProxyType({"prefix": _PREFIX}),
    ),
    ProviderKind(
        provider=ProviderType.GOOGLE_DRIVE,
        config=provider_configs.GoogleDriveConfig,
        credentials=(credentials.GoogleDriveServiceAccountCredentials, credentials.GoogleDriveOAuthCredentials),
        parse_path=paths.parse_drive_path,
        path_form="folder id or /folder/path",
        nowhere="/mixsync-test-{0}",
        sources=_FILES | {"drive_property"},
        factory="mixsync_dagster.providers.google_drive.factory",
        reads="Google Drive and shared drives",
        privilege="scope `drive.readonly`; the folder shared with the service account as Viewer",
        filters=MappingProxyType({"shared_drive_id": FilterKey(_is_name, "the id of a shared drive (0A...)")}),
        library=("googleapiclient", "drive"),
    ),
    ProviderKind(
        provider=ProviderType.SHAREPOINT,
        config=provider_configs.SharePointConfig,
        credentials=(
            credentials.SharePointClientCredentials,
            credentials.SharePointCertificateCredentials,
            credentials.SharePointDelegatedCredentials,
        ),
        parse_path=paths.parse_sharepoint_path,
        path_form="/sites/Site/Library/folder",
        nowhere="/sites/mixsync-test-{0}",
        sources=_FILES | {"sharepoint_column"},
        factory="mixsync_dagster.providers.sharepoint.factory",
        reads="SharePoint and OneDrive for Business",
        privilege="`Sites.Selected` with the role read on the site",
    ),
    ProviderKind(
        provider=ProviderType.SNOWFLAKE,
        config=provider_configs.SnowflakeConfig,
        credentials=(credentials.SnowflakeKeyPairCredentials, credentials.SnowflakeUsernamePasswordCredentials),
        parse_path=paths.parse_snowflake_path,
        path_form="DATABASE.SCHEMA.TABLE, or less where the connection has defaults",
        nowhere="MIXSYNC_TEST_{0}.PUBLIC.NOTHING",
        sources=_EVERYWHERE | {"column"},
        factory="mixsync_dagster.providers.snowflake.factory",
        reads="rows of a table or view",
        privilege="`USAGE` on warehouse, database and schema, `SELECT` on the table",
        filters=MappingProxyType(
            {"content_column": FilterKey(_is_name, "the name of a column whose value is the content")}
        ),
        library=("snowflake.connector", "snowflake"),
        trusts_by_environment=True,
        columns_by_default=True,
    ),
)

KINDS: Mapping[ProviderType, ProviderKind] = MappingProxyType({row.provider: row for row in _ROWS})
"""Every provider by its type."""


def parse_source_path(provider: ProviderType, source_path: str, *, field: str = "source_path") -> object:
    """Return the parts of a source path. Raises InvalidInput, naming `field`, when it is not of the provider's form."""
    if "\x00" in source_path:
        raise InvalidInput.of(field, source_path.replace("\x00", "\\0"), "a path without NUL characters")
    return KINDS[provider].parse_path(source_path, field)


def paths_in_words() -> str:
    """Return the forms of source paths: "s3, tigris: bucket or bucket/prefix. ..."."""
    return " ".join(f"{', '.join(types)}: {form}." for form, types in _grouped(lambda kind: [kind.path_form]).items())


def filters_in_words() -> str:
    """Return the keys of `provider_filters`: "s3, tigris: {prefix}, the beginning of keys ...; ..."."""

    def told(kind: ProviderKind) -> list[str]:
        keys = [f"{{{name}}}" + (f", {key.said}" if key.said else "") for name, key in kind.filters.items()]
        return [", ".join(keys)] if keys else []

    return "; ".join(f"{', '.join(types)}: {said}" for said, types in _grouped(told).items())


def _grouped(told: Callable[[ProviderKind], list[str]]) -> dict[str, list[str]]:
    """Return the providers of each text, in the order of the rows."""
    groups: dict[str, list[str]] = {}
    for kind in _ROWS:
        for text in told(kind):
            groups.setdefault(text, []).append(kind.provider.value)
    return groups
