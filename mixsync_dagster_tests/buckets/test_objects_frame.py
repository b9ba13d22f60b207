from __future__ import annotations

import pandas as pd

from mixsync_dagster.buckets.objects_frame import load_objects
from mixsync_dagster.model.objects import PutResult, PutStatus, StoredBlob
from mixsync_dagster.testing.memory import MemoryCatalog
from mixsync_dagster_tests.buckets.drafts import draft_of


def filled() -> MemoryCatalog:
    catalog = MemoryCatalog()
    first = draft_of("a.png", "1", StoredBlob("ab" * 32, 5), fields={"title": "é", "rank": 1})
    second = draft_of("b.png", "2", fields={"title": "b"})
    for sync, draft in (("sync_1", first), ("sync_2", second)):
        catalog.record([PutResult(draft, PutStatus.CREATED, draft.object_id)], sync_config_id=sync)
    return catalog


def test_fields_and_blobs_become_columns() -> None:
    frame = load_objects(filled(), "bkt", location=lambda sha256: f"/blobs/{sha256[:2]}")
    assert list(frame.columns) == [
        "object_id",
        "source_object_id",
        "source_path",
        "version",
        "batch_id",
        "created_at",
        "updated_at",
        "blobs.content_0.filename",
        "blobs.content_0.location",
        "blobs.content_0.mime_type",
        "blobs.content_0.sha256",
        "blobs.content_0.size_bytes",
        "blobs.content_0.type",
        "fields.rank",
        "fields.title",
    ]
    assert list(frame["object_id"]) == ["obj_a.png", "obj_b.png"]
    assert list(frame["fields.title"]) == ["é", "b"]
    assert frame["blobs.content_0.location"][0] == "/blobs/ab"
    assert pd.isna(frame["blobs.content_0.location"][1])
    assert frame["blobs.content_0.size_bytes"][0] == 5
    assert str(frame["created_at"].dtype) == "datetime64[us, UTC]"


def test_the_objects_of_one_sync_can_be_asked_for() -> None:
    frame = load_objects(filled(), "bkt", sync_config_id="sync_2")
    assert list(frame["source_path"]) == ["b.png"]
    assert "blobs.content_0.sha256" not in frame.columns


def test_an_empty_bucket_is_an_empty_frame() -> None:
    frame = load_objects(MemoryCatalog(), "bkt")
    assert len(frame) == 0
    assert "object_id" in frame.columns
