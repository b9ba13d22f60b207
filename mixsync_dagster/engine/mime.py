"""MIME types by file name, the same on every machine."""

from __future__ import annotations

from functools import lru_cache
from mimetypes import MimeTypes

_TABLE = MimeTypes(filenames=())
"""Python's own table only: the machine's mime.types files would make filters differ from host to host."""

for _extension, _type in {
    ".avif": "image/avif",
    ".csv": "text/csv",
    ".flac": "audio/flac",
    ".heic": "image/heic",
    ".jsonl": "application/jsonl",
    ".m4a": "audio/mp4",
    ".m4v": "video/mp4",
    ".md": "text/markdown",
    ".mkv": "video/x-matroska",
    ".ogg": "audio/ogg",
    ".opus": "audio/opus",
    ".parquet": "application/vnd.apache.parquet",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
}.items():
    _TABLE.add_type(_type, _extension)

_MEANINGLESS = frozenset({"application/octet-stream", "binary/octet-stream"})


@lru_cache(maxsize=4096)
def _of_extension(extension: str) -> str | None:
    return _TABLE.guess_type("x" + extension, strict=False)[0]


def mime_of_name(name: str) -> str | None:
    """Return the type that a file name's extension stands for, None when it says nothing."""
    dot = name.rfind(".")
    return None if dot < 0 or "/" in name[dot:] else _of_extension(name[dot:].lower())


def mime_of(name: str, told: str | None) -> str | None:
    """Return what the provider told, without parameters, unless it is empty of meaning; else what the name says."""
    if told:
        plain = told.split(";", 1)[0].strip().lower()
        if plain and plain not in _MEANINGLESS:
            return plain
    return mime_of_name(name)


_EXCEL = frozenset(
    {
        "text/csv",
        "application/vnd.ms-excel",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)
_TEXT = frozenset(
    {
        "application/json",
        "application/jsonl",
        "application/xml",
        "application/yaml",
        "application/x-sh",
        "application/javascript",
    }
)


def blob_type_of(mime: str | None) -> str | None:
    """Return image, video, audio, text, pdf or excel for a MIME type; None where none of them fits."""
    if mime is None:
        return None
    if mime in _EXCEL:
        return "excel"
    if mime == "application/pdf":
        return "pdf"
    family = mime.split("/", 1)[0]
    if family in {"image", "video", "audio", "text"}:
        return family
    return "text" if mime in _TEXT or mime.endswith(("+json", "+xml")) else None
