from __future__ import annotations

import io
from pathlib import Path

import pytest

from mixsync_dagster.buckets.remote import RemoteFolder, upload_parts
from mixsync_dagster.errors import InvalidInput, NotFound, StoreUnavailable


def test_a_url_of_no_known_store_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"location: gopher://host/x is not accepted; give a folder or the URL"):
        RemoteFolder("gopher://host/x")


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises(InvalidInput) as caught:
        RemoteFolder("gopher://user:hunter2@host/x?token=hunter3")
    assert "hunter" not in str(caught.value)


def test_an_unknown_option_is_refused() -> None:
    with pytest.raises(InvalidInput):
        RemoteFolder("s3://bucket/prefix", options={"no_such_setting": "1"})


def test_certificates_cannot_be_left_unchecked() -> None:
    with pytest.raises(InvalidInput, match=r"options\.allow_invalid_certificates"):
        RemoteFolder("s3://bucket/prefix", options={"allow_invalid_certificates": True})


def test_an_object_store_out_of_reach_is_unavailable_and_its_words_are_not_shown() -> None:
    options = {
        "endpoint": "http://127.0.0.1:9",
        "allow_http": "true",
        "access_key_id": "AKIAEXAMPLE",
        "secret_access_key": "hunter2",
        "region": "us-east-1",
    }
    folder = RemoteFolder("s3://bucket/prefix", options=options, max_retries=0)
    with pytest.raises(StoreUnavailable, match=r"^object store s3://bucket/prefix cannot be read \(\w+\)\.$"):
        folder.size_of("key")


def test_keys_are_listed_with_their_sizes(tmp_path: Path) -> None:
    folder = RemoteFolder(tmp_path.as_uri())
    folder.put("a/b", io.BytesIO(b"hello"), 5)
    assert list(folder.list_keys()) == [("a/b", 5)]
    assert folder.size_of("a/b") == 5
    assert folder.size_of("a/c") is None


def test_a_key_deleted_while_it_is_about_to_be_read_is_not_found(tmp_path: Path) -> None:
    folder = RemoteFolder(tmp_path.as_uri())
    folder.put("a", io.BytesIO(b"hello"), 5)
    reading = folder.read("a")
    folder.delete("a")
    with pytest.raises(NotFound, match=r"/a does not exist\.$"):
        next(reading)


@pytest.mark.parametrize(
    ("size_bytes", "part_bytes", "at_once"),
    [
        (0, 8_388_608, 8),
        (80_000_000_000, 8_388_608, 8),
        (100_000_000_000, 10_000_000, 6),
        (100_000_000_001, 10_000_001, 6),
        (5_497_558_138_880, 549_755_814, 1),
    ],
)
def test_large_uploads_have_larger_parts_and_fewer_at_once(size_bytes: int, part_bytes: int, at_once: int) -> None:
    assert upload_parts(size_bytes) == (part_bytes, at_once)
