"""Source paths: what each provider's grammar says about the place that a sync reads."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from mixsync_dagster.errors import InvalidInput

MAX_KEY_BYTES = 1024
"""Longest object key of S3, in bytes of UTF-8."""

_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_DRIVE_ID = re.compile(r"[A-Za-z0-9_-]+")
_SITE_ROOTS = ("sites", "teams", "personal")
_SHAREPOINT_REFUSED = frozenset('"*:<>?|\\')
_IDENTIFIER = re.compile(
    r'(?:(?P<bare>[A-Za-z_][A-Za-z0-9_$]{0,254})|"(?P<quoted>(?:[^"\x00]|""){1,255})")(?P<end>\.|$)'
)


@dataclass(frozen=True, slots=True)
class S3Path:
    """A bucket, or the part of it below a prefix (also Tigris)."""

    bucket: str
    prefix: str
    """As given, without the slash after the bucket; empty for the whole bucket. It may name one object."""

    @property
    def folder_prefix(self) -> str:
        """The prefix as a folder: empty, or ending in a slash."""
        return self.prefix if not self.prefix or self.prefix.endswith("/") else self.prefix + "/"


@dataclass(frozen=True, slots=True)
class DrivePath:
    """A Drive folder, by its id or by the names that lead to it; exactly one of the two is given."""

    folder_id: str | None
    folders: tuple[str, ...] | None
    """Names from the drive's root down; empty for the root itself."""


@dataclass(frozen=True, slots=True)
class SharePointPath:
    """A folder of a document library."""

    site: str | None
    """Server-relative path of the site, e.g. `sites/Legal`; None for the connection's site."""
    library: str | None
    """Display name of the library; None for the connection's drive or the site's default library."""
    folders: tuple[str, ...]
    """Names from the library's root down; empty for the root itself."""


@dataclass(frozen=True, slots=True)
class SnowflakeTable:
    """A table or view; None for the parts that the connection's defaults give."""

    database: str | None
    schema: str | None
    table: str

    @property
    def quoted(self) -> str:
        """The name for a statement, every part in quotes."""
        parts = (part for part in (self.database, self.schema, self.table) if part is not None)
        return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def parse_s3_path(source_path: str, field: str = "source_path") -> S3Path:
    """Return bucket and prefix of `bucket[/prefix]`, with or without `s3://`. Raises InvalidInput."""
    bucket, _, prefix = source_path.removeprefix("s3://").partition("/")
    if not _BUCKET.fullmatch(bucket) or _is_address(bucket):
        raise InvalidInput.of(
            field,
            source_path,
            "bucket or bucket/prefix with a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens that "
            "begins and ends with a letter or digit",
        )
    if len(prefix.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        raise InvalidInput.of(field, source_path, f"a prefix of at most {MAX_KEY_BYTES} bytes")
    return S3Path(bucket, prefix)


def parse_drive_path(source_path: str, field: str = "source_path") -> DrivePath:
    """Return the folder of a folder id (`root` included) or of a path that begins with a slash. Raises InvalidInput."""
    if source_path.startswith("/"):
        names = source_path.strip("/").split("/") if source_path.strip("/") else []
        if all(names):
            return DrivePath(None, tuple(names))
    elif _DRIVE_ID.fullmatch(source_path):
        return DrivePath(source_path, None)
    raise InvalidInput.of(field, source_path, "a folder id such as 0AH-Xabc123, or a path such as /Marketing/Assets")


def parse_sharepoint_path(source_path: str, field: str = "source_path") -> SharePointPath:
    """Return site, library and folders of `/sites/Site/Library/folder`. Raises InvalidInput.

    A path that does not begin with /sites/, /teams/ or /personal/ is a folder of the connection's own drive.
    """
    names = source_path.strip("/").split("/") if source_path.strip("/") else []
    if not all(name.strip() for name in names) or _SHAREPOINT_REFUSED.intersection(source_path):
        raise InvalidInput.of(field, source_path, "a path such as /sites/SiteName/Shared Documents/folder")
    if not names or names[0].lower() not in _SITE_ROOTS:
        return SharePointPath(None, None, tuple(names))
    if len(names) == 1:
        raise InvalidInput.of(
            field, source_path, "a path that names the site, such as /sites/SiteName/Shared Documents"
        )
    site, rest = "/".join(names[:2]), names[2:]
    return SharePointPath(site, rest[0] if rest else None, tuple(rest[1:]))


def parse_snowflake_path(source_path: str, field: str = "source_path") -> SnowflakeTable:
    """Return the parts of `DATABASE.SCHEMA.TABLE`, `SCHEMA.TABLE` or `TABLE`. Raises InvalidInput.

    Parts without quotes are upper-cased, as Snowflake does; parts in double quotes stay as they are.
    """
    parts: list[str] = []
    position = 0
    while match := _IDENTIFIER.match(source_path, position):
        bare, quoted = match["bare"], match["quoted"]
        parts.append(bare.upper() if bare is not None else quoted.replace('""', '"'))
        position = match.end()
        if not match["end"]:
            break
    else:
        parts.clear()
    if not 1 <= len(parts) <= 3 or position != len(source_path):  # noqa: PLR2004 - database, schema, table
        raise InvalidInput.of(field, source_path, "DATABASE.SCHEMA.TABLE, SCHEMA.TABLE or TABLE")
    database, schema, table = [None] * (3 - len(parts)) + parts
    return SnowflakeTable(database, schema, table or "")


def _is_address(bucket: str) -> bool:
    try:
        ipaddress.IPv4Address(bucket)
    except ValueError:
        return False
    return True
