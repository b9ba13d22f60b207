"""Google's own editors: which of their documents have an export, in what format, and what cannot have bytes at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mixsync_dagster.providers.google_drive.settings import ExportFormat

_GOOGLE = "application/vnd.google-apps."
FOLDER = _GOOGLE + "folder"
SHORTCUT = _GOOGLE + "shortcut"
NOT_EXPORTABLE = "not_exportable"
"""Reason class of forms, sites, maps and whatever else has no bytes."""


@dataclass(frozen=True, slots=True)
class Export:
    """What a document is turned into."""

    mime_type: str
    extension: str


_OPEN_XML = "application/vnd.openxmlformats-officedocument."
_PDF = Export("application/pdf", ".pdf")
_TEXT = Export("text/plain", ".txt")

_EXPORTS: Mapping[ExportFormat, Mapping[str, Export]] = MappingProxyType(
    {
        "office": {
            "document": Export(_OPEN_XML + "wordprocessingml.document", ".docx"),
            "spreadsheet": Export(_OPEN_XML + "spreadsheetml.sheet", ".xlsx"),
            "presentation": Export(_OPEN_XML + "presentationml.presentation", ".pptx"),
            "drawing": _PDF,
        },
        "pdf": {"document": _PDF, "spreadsheet": _PDF, "presentation": _PDF, "drawing": _PDF},
        "text": {
            "document": _TEXT,
            "spreadsheet": Export("text/csv", ".csv"),  # the first sheet: Drive exports no more of it
            "presentation": _TEXT,
            "drawing": _PDF,
        },
    }
)


def is_native(mime_type: str) -> bool:
    """Return whether the file belongs to one of Google's editors and has no bytes of its own."""
    return mime_type.startswith(_GOOGLE)


def export_of(mime_type: str, chosen: ExportFormat) -> Export | None:
    """Return what such a document is turned into; None where Drive offers nothing."""
    script = Export(_GOOGLE + "script+json", ".json")
    kind = mime_type.removeprefix(_GOOGLE)
    return script if kind == "script" else _EXPORTS[chosen].get(kind)
