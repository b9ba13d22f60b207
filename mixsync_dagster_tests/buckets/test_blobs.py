from __future__ import annotations

from pathlib import Path

import pytest

from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.buckets.blob_remote import BlobRemote
from mixsync_dagster.buckets.blobs import local_folder, open_blob_store


@pytest.mark.parametrize(
    ("location", "folder"),
    [
        ("/data/blobs", Path("/data/blobs")),
        ("data/blobs", Path("data/blobs")),
        (Path("/data"), Path("/data")),
        ("file:///data/my%20blobs", Path("/data/my blobs")),
        ("s3://bucket/prefix", None),
        ("gs://bucket", None),
        ("memory://", None),
    ],
)
def test_paths_and_file_urls_name_folders(location: str | Path, folder: Path | None) -> None:
    assert local_folder(location) == folder


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    store = open_blob_store(f"{tmp_path}/a/b")
    assert isinstance(store, BlobFolder)
    assert (tmp_path / "a" / "b" / "tmp").is_dir()
    store.close()


def test_a_url_opens_an_object_store() -> None:
    assert isinstance(open_blob_store("memory://"), BlobRemote)
