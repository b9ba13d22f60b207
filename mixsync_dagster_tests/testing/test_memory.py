from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mixsync_dagster.model.objects import Batch, PutResult, PutStatus, StoredBlob
from mixsync_dagster.testing.memory import MemoryCatalog
from mixsync_dagster_tests.buckets.drafts import draft_of

HELLO = StoredBlob("ab" * 32, 5)


@pytest.fixture
def catalog() -> MemoryCatalog:
    catalog = MemoryCatalog()
    for path, status in (("b", PutStatus.CREATED), ("a", PutStatus.CREATED), ("c", PutStatus.DUPLICATE)):
        draft = draft_of(path, "1", HELLO, fields={"title": path})
        catalog.record([PutResult(draft, status, draft.object_id)], sync_config_id=f"sync_{path}")
    return catalog


def test_objects_are_there_once_recorded_and_duplicates_are_not(catalog: MemoryCatalog) -> None:
    assert catalog.versions_by_id(["obj_a", "obj_b", "obj_c"]) == {"obj_a": "1", "obj_b": "1"}
    assert catalog.count_objects("bkt") == 2
    assert catalog.count_objects("other") == 0


def test_the_smallest_id_owns_the_bytes_until_it_is_removed(catalog: MemoryCatalog) -> None:
    assert catalog.owners_of_content("bkt", [HELLO.sha256, "x"]) == {HELLO.sha256: "obj_a"}
    catalog.remove(["obj_a"])
    assert catalog.owners_of_content("bkt", [HELLO.sha256]) == {HELLO.sha256: "obj_b"}
    assert catalog.owners_of_content("other", [HELLO.sha256]) == {}


def test_a_replaced_object_keeps_when_it_was_created(catalog: MemoryCatalog) -> None:
    later = datetime(2026, 2, 1, tzinfo=UTC)
    catalog.record([PutResult(draft_of("a", "2"), PutStatus.REPLACED, "obj_a")], at=later)
    [stored] = catalog.objects_by_id(["obj_a"])
    assert (stored.version, stored.created_at, stored.updated_at) == ("2", datetime(2026, 1, 1, tzinfo=UTC), later)


def test_objects_are_paged_in_id_order_and_by_sync(catalog: MemoryCatalog) -> None:
    assert [stored.object_id for stored in catalog.list_objects("bkt", limit=1)] == ["obj_a"]
    assert [stored.object_id for stored in catalog.list_objects("bkt", after="obj_a")] == ["obj_b"]
    assert [stored.object_id for stored in catalog.list_objects("bkt", sync_config_id="sync_b")] == ["obj_b"]


def test_the_table_has_fields_and_blobs_as_json(catalog: MemoryCatalog) -> None:
    table = catalog.objects_table("bkt", sync_config_id="sync_a")
    assert table["fields"].to_pylist() == ['{"title": "a"}']
    assert table["blobs"].to_pylist() == [
        '[{"property": "content_0", "type": "image", "filename": "a", "mime_type": "image/png", '
        '"size_bytes": 5, "sha256": "' + "ab" * 32 + '"}]'
    ]


def test_batches_are_listed_newest_first(catalog: MemoryCatalog) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(3):
        catalog.add_batch(Batch(f"btch_{number}", "sync_a", "bkt", 1, "sealed", None, at, None), ["obj_a"])
    assert [batch.batch_id for batch in catalog.list_batches("bkt", limit=2)] == ["btch_2", "btch_1"]
    assert [batch.batch_id for batch in catalog.list_batches("bkt", after="btch_1")] == ["btch_0"]
    assert catalog.objects_by_id(["obj_a"])[0].batch_id == "btch_2"
