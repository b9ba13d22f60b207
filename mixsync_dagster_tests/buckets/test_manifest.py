from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from mixsync_dagster.buckets.manifest import (
    MANIFEST_SCHEMA,
    ManifestFolder,
    ManifestRemote,
    Manifests,
    manifest_tables,
    open_manifests,
)
from mixsync_dagster.errors import InvalidInput, StoreUnavailable
from mixsync_dagster.model.objects import BatchMember, Blob, StoredObject

BLOB = Blob("image", "image", "é.png", "image/png", 5_000_000_000, "ab" * 32)


def stored(object_id: str, version: str = "1", *, blobs: tuple[Blob, ...] = (BLOB,)) -> StoredObject:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return StoredObject(
        object_id=object_id,
        bucket_id="bkt",
        source_provider="s3",
        source_object_id=f"host/bucket/{object_id}",
        source_path=f"{object_id}/é\n.png",
        version=version,
        state="active",
        fields={"title": "é", "rank": 1, "tags": ["a"], "nothing": None},
        blobs=blobs,
        batch_id=None,
        created_at=at,
        updated_at=at,
    )


def tables_of(members: list[BatchMember], objects: list[StoredObject]) -> Iterator[Any]:
    return manifest_tables(
        members,
        lambda ids: [each for each in objects if each.object_id in ids],
        lambda sha256: f"/blobs/{sha256}",
    )


@pytest.fixture(params=["folder", "remote"])
def manifests(request: pytest.FixtureRequest, tmp_path: Path) -> Manifests:
    folder = tmp_path / "manifests"
    folder.mkdir()
    return ManifestFolder(folder) if request.param == "folder" else ManifestRemote(folder.as_uri())


def test_a_manifest_reads_back_as_it_was_written(manifests: Manifests) -> None:
    members = [BatchMember("obj_2", "1"), BatchMember("obj_1", "1")]
    location = manifests.write("btch_1", tables_of(members, [stored("obj_1", blobs=()), stored("obj_2")]))
    assert manifests.find("btch_1") == location
    table = pq.read_table(location.removeprefix("file://"))
    assert table.schema.equals(MANIFEST_SCHEMA)
    rows = table.to_pylist()
    assert [json.loads(row.pop("fields")) for row in rows] == [
        {"title": "é", "rank": 1, "tags": ["a"], "nothing": None}
    ] * 2
    assert rows == [
        {
            "object_id": "obj_2",
            "version": "1",
            "source_provider": "s3",
            "source_object_id": "host/bucket/obj_2",
            "source_path": "obj_2/é\n.png",
            "blobs": [
                {
                    "property": "image",
                    "type": "image",
                    "filename": "é.png",
                    "mime_type": "image/png",
                    "size_bytes": 5_000_000_000,
                    "sha256": "ab" * 32,
                    "location": "/blobs/" + "ab" * 32,
                }
            ],
        },
        {
            "object_id": "obj_1",
            "version": "1",
            "source_provider": "s3",
            "source_object_id": "host/bucket/obj_1",
            "source_path": "obj_1/é\n.png",
            "blobs": [],
        },
    ]


def test_the_same_batch_gives_the_same_bytes(manifests: Manifests) -> None:
    members = [BatchMember("obj_1", "1")]
    path = Path(manifests.write("btch_1", tables_of(members, [stored("obj_1")])).removeprefix("file://"))
    first = path.read_bytes()
    manifests.write("btch_1", tables_of(members, [stored("obj_1")]))
    assert path.read_bytes() == first


def test_objects_that_are_gone_or_have_another_version_by_now_are_left_out(manifests: Manifests) -> None:
    members = [BatchMember("obj_1", "1"), BatchMember("obj_2", "1"), BatchMember("obj_3", "1")]
    location = manifests.write("btch_1", tables_of(members, [stored("obj_1", "2"), stored("obj_3")]))
    assert pq.read_table(location.removeprefix("file://"))["object_id"].to_pylist() == ["obj_3"]


def test_a_batch_without_members_is_an_empty_manifest(manifests: Manifests) -> None:
    location = manifests.write("btch_1", tables_of([], []))
    assert pq.read_table(location.removeprefix("file://")).num_rows == 0


def test_a_large_batch_is_read_and_written_in_groups_of_a_thousand(tmp_path: Path) -> None:
    asked: list[int] = []

    def read(ids: Any) -> list[StoredObject]:
        asked.append(len(ids))
        return [stored(object_id) for object_id in ids]

    members = [BatchMember(f"obj_{number}", "1") for number in range(2500)]
    location = ManifestFolder(tmp_path).write("btch_1", manifest_tables(iter(members), read, str))
    assert asked == [1000, 1000, 500]
    assert pq.ParquetFile(location).num_row_groups == 3


def test_a_failure_while_writing_leaves_nothing(manifests: Manifests, tmp_path: Path) -> None:
    def tables() -> Iterator[Any]:
        yield from tables_of([BatchMember("obj_1", "1")], [stored("obj_1")])
        raise RuntimeError

    with pytest.raises(RuntimeError):
        manifests.write("btch_1", tables())
    assert manifests.find("btch_1") is None
    assert list((tmp_path / "manifests").iterdir()) == []


def test_a_disk_error_is_told_in_a_sentence(manifests: Manifests, tmp_path: Path) -> None:
    def tables() -> Iterator[Any]:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        yield

    with pytest.raises(StoreUnavailable, match="No space left on device"):
        manifests.write("btch_1", tables())
    assert list((tmp_path / "manifests").iterdir()) == []


@pytest.mark.parametrize("batch_id", ["", "../x", "a/b", "a.b", "é", "x" * 129])
def test_a_batch_id_that_is_no_name_is_refused(manifests: Manifests, batch_id: str) -> None:
    with pytest.raises(InvalidInput, match="batch_id"):
        manifests.find(batch_id)
    with pytest.raises(InvalidInput, match="batch_id"):
        manifests.write(batch_id, [])


def test_locations_choose_where_manifests_are(tmp_path: Path) -> None:
    assert isinstance(open_manifests(tmp_path / "a"), ManifestFolder)
    assert isinstance(open_manifests((tmp_path / "b c").as_uri()), ManifestFolder)
    assert (tmp_path / "b c").is_dir()
    assert isinstance(open_manifests("memory://"), ManifestRemote)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match=r"manifest folder .*file/m cannot be written: Not a directory\.$"):
        ManifestFolder(tmp_path / "file" / "m")
