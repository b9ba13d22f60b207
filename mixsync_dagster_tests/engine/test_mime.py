"""MIME types by name."""

from __future__ import annotations

import pytest

from mixsync_dagster.engine.mime import blob_type_of, mime_of, mime_of_name


@pytest.mark.parametrize(
    ("name", "mime"),
    [
        ("a.mp4", "video/mp4"),
        ("a.MP4", "video/mp4"),
        ("a.jpg", "image/jpeg"),
        ("a.JPeG", "image/jpeg"),
        ("a.pdf", "application/pdf"),
        ("a.csv", "text/csv"),
        ("a.md", "text/markdown"),
        ("a.mkv", "video/x-matroska"),
        ("a.webm", "video/webm"),
        ("a.heic", "image/heic"),
        ("a.xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        ("a.jsonl", "application/jsonl"),
        ("folder.mp4/a.txt", "text/plain"),
        ("a.b.png", "image/png"),
        (".png", "image/png"),
    ],
)
def test_an_extension_tells_the_type(name: str, mime: str) -> None:
    assert mime_of_name(name) == mime


@pytest.mark.parametrize("name", ["mp4", "", "a.", "a.unheardof", "folder.mp4/a", "folder.mp4/", "a.mp4\n"])
def test_a_name_without_a_known_extension_tells_nothing(name: str) -> None:
    assert mime_of_name(name) is None


@pytest.mark.parametrize(
    ("told", "mime"),
    [
        ("image/png", "image/png"),
        ("IMAGE/PNG", "image/png"),
        ("text/html; charset=utf-8", "text/html"),
        (" text/html ;q=1", "text/html"),
        (None, "video/mp4"),
        ("", "video/mp4"),
        (";charset=utf-8", "video/mp4"),
        ("application/octet-stream", "video/mp4"),
        ("binary/octet-stream", "video/mp4"),
        ("Application/Octet-Stream; x=y", "video/mp4"),
    ],
)
def test_what_the_provider_told_wins_unless_it_is_empty_of_meaning(told: str | None, mime: str) -> None:
    assert mime_of("a.mp4", told) == mime


def test_without_a_telling_type_or_name_the_type_is_unknown() -> None:
    assert mime_of("README", "application/octet-stream") is None


@pytest.mark.parametrize(
    ("mime", "blob_type"),
    [
        ("image/gif", "image"),
        ("video/x-matroska", "video"),
        ("audio/mpeg", "audio"),
        ("application/pdf", "pdf"),
        ("text/csv", "excel"),
        ("application/vnd.ms-excel", "excel"),
        ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "excel"),
        ("text/html", "text"),
        ("text/markdown", "text"),
        ("application/json", "text"),
        ("application/xml", "text"),
        ("application/ld+json", "text"),
        ("image/svg+xml", "image"),
        ("application/atom+xml", "text"),
        ("application/zip", None),
        (None, None),
    ],
)
def test_a_blob_type_follows_from_the_mime_type(mime: str | None, blob_type: str | None) -> None:
    assert blob_type_of(mime) == blob_type
