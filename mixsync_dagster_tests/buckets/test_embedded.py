from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.buckets.embedded import EmbeddedBucket, open_embedded_bucket
from mixsync_dagster.buckets.manifest import ManifestFolder
from mixsync_dagster.errors import NotFound, StoreUnavailable
from mixsync_dagster.model.objects import BatchMember, StoredBlob, SubmittedBatch
from mixsync_dagster.testing.memory import MemoryCatalog
from mixsync_dagster_tests.buckets.drafts import draft_of
from mixsync_dagster_tests.buckets.harness import RecordingHandler

HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


class CountingCatalog(MemoryCatalog):
    """Notes the queries that it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.queries: list[str] = []

    def versions_by_id(self, object_ids: Sequence[str]) -> Mapping[str, str]:
        self.queries.append("versions_by_id")
        return super().versions_by_id(object_ids)

    def owners_of_content(self, bucket_id: str, sha256s: Sequence[str]) -> Mapping[str, str]:
        self.queries.append("owners_of_content")
        return super().owners_of_content(bucket_id, sha256s)


@pytest.fixture
def catalog() -> CountingCatalog:
    return CountingCatalog()


@pytest.fixture
def handler() -> RecordingHandler:
    return RecordingHandler()


@pytest.fixture
def bucket(tmp_path: Path, catalog: CountingCatalog, handler: RecordingHandler) -> Iterator[EmbeddedBucket]:
    manifests = ManifestFolder(tmp_path / "manifests")
    bucket = EmbeddedBucket("bkt", catalog, BlobFolder(tmp_path / "blobs"), manifests, handler)
    yield bucket
    bucket.close()


def test_a_put_of_many_drafts_costs_one_query_of_each_kind(bucket: EmbeddedBucket, catalog: CountingCatalog) -> None:
    drafts = [draft_of(f"{number}", "1", bucket.store_blob([b"%d" % number])) for number in range(100)]
    bucket.put_objects(drafts, skip_duplicates=True)
    assert sorted(catalog.queries) == ["owners_of_content", "versions_by_id"]


def test_content_is_not_asked_for_when_duplicates_are_wanted(bucket: EmbeddedBucket, catalog: CountingCatalog) -> None:
    bucket.put_objects([draft_of("a", "1", bucket.store_blob([b"hello"]))], skip_duplicates=False)
    assert catalog.queries == ["versions_by_id"]


def test_putting_writes_no_rows(bucket: EmbeddedBucket, catalog: CountingCatalog) -> None:
    bucket.put_objects([draft_of("a", "1", bucket.store_blob([b"hello"]))], skip_duplicates=True)
    assert catalog.count_objects("bkt") == 0


def test_a_draft_whose_bytes_were_never_stored_is_refused(bucket: EmbeddedBucket) -> None:
    bucket.put_objects([draft_of("a", "1", StoredBlob("0" * 64, 5))], skip_duplicates=False)
    with pytest.raises(StoreUnavailable, match="is not held"):
        bucket.make_durable()


def test_a_duplicate_of_several_owners_leans_on_the_owner_of_its_first_blob(
    bucket: EmbeddedBucket, catalog: CountingCatalog
) -> None:
    one, two = bucket.store_blob([b"one"]), bucket.store_blob([b"two"])
    catalog.record(bucket.put_objects([draft_of("1", "1", one), draft_of("2", "1", two)], skip_duplicates=True))
    [result] = bucket.put_objects([draft_of("3", "1", two, one)], skip_duplicates=True)
    assert (result.status, result.object_id) == ("duplicate", "obj_2")


def test_an_object_put_twice_before_its_commit_is_no_duplicate_of_itself(bucket: EmbeddedBucket) -> None:
    draft = draft_of("a", "1", bucket.store_blob([b"hello"]))
    assert [bucket.put_objects([draft], skip_duplicates=True)[0].status for _ in range(2)] == ["created", "created"]


def test_one_item_twice_in_a_call_is_put_once(bucket: EmbeddedBucket) -> None:
    blob = bucket.store_blob([b"hello"])
    results = bucket.put_objects([draft_of("a", "1", blob), draft_of("a", "1", blob)], skip_duplicates=True)
    assert [result.status for result in results] == ["created", "already_present"]


def test_bytes_given_up_before_the_commit_are_nobodys(bucket: EmbeddedBucket, catalog: CountingCatalog) -> None:
    hello, world = bucket.store_blob([b"hello"]), bucket.store_blob([b"world"])
    catalog.record(bucket.put_objects([draft_of("a", "1", hello)], skip_duplicates=True))
    bucket.put_objects([draft_of("a", "2", world)], skip_duplicates=True)
    [result] = bucket.put_objects([draft_of("b", "1", hello)], skip_duplicates=True)
    assert result.status == "created"


def test_an_owner_that_another_run_replaced_owns_nothing(bucket: EmbeddedBucket, catalog: CountingCatalog) -> None:
    hello, world = bucket.store_blob([b"hello"]), bucket.store_blob([b"world"])
    catalog.record(bucket.put_objects([draft_of("a", "1", hello)], skip_duplicates=True))
    other = EmbeddedBucket("bkt", catalog, bucket._blobs, bucket._manifests)
    catalog.record(other.put_objects([draft_of("a", "2", world)], skip_duplicates=True))
    [result] = bucket.put_objects([draft_of("b", "1", hello)], skip_duplicates=True)
    assert result.status == "created"


def test_a_batch_is_written_once_and_handed_over_at_every_call(
    bucket: EmbeddedBucket, catalog: CountingCatalog, handler: RecordingHandler, tmp_path: Path
) -> None:
    catalog.record(bucket.put_objects([draft_of("a", "1", bucket.store_blob([b"hello"]))], skip_duplicates=True))
    members = [BatchMember("obj_a", "1")]
    first = bucket.submit_batch("btch_1", members, idempotency_key="key")
    manifest = tmp_path / "manifests" / "btch_1.parquet"
    written = manifest.read_bytes()
    # What happens to the object later does not change what a job was started on.
    catalog.record(bucket.put_objects([draft_of("a", "2", bucket.store_blob([b"world"]))], skip_duplicates=True))
    assert bucket.submit_batch("btch_1", members, idempotency_key="key") == first
    assert first == SubmittedBatch("btch_1", "task-key")
    assert manifest.read_bytes() == written
    assert handler.calls == [("btch_1", str(manifest), "key")] * 2


def test_without_a_handler_a_batch_is_its_manifest(tmp_path: Path, catalog: CountingCatalog) -> None:
    with_default = open_embedded_bucket("bkt", catalog, blobs=tmp_path / "blobs", manifests=str(tmp_path / "m"))
    assert with_default.submit_batch("btch_1", [], idempotency_key="key") == SubmittedBatch("btch_1", None)
    assert (tmp_path / "m" / "btch_1.parquet").exists()
    with_default.close()


def test_blobs_are_read_by_their_hash(bucket: EmbeddedBucket) -> None:
    bucket.put_objects([draft_of("a", "1", bucket.store_blob([b"hello"]))], skip_duplicates=True)
    bucket.make_durable()
    assert b"".join(bucket.open_blob(HELLO)) == b"hello"
    with pytest.raises(NotFound):
        bucket.open_blob("0" * 64)
