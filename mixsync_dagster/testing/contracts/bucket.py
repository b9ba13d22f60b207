"""What every destination bucket has to do.

An adapter's tests bind it: a class that inherits from BucketContract and has a fixture `harness`, a BucketHarness.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.model.objects import BatchMember, Blob, Draft, PutResult, PutStatus, StoredBlob

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mixsync_dagster.ports.bucket import Bucket

_PROVIDER = "contract"
_EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_HELLO_SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


class BucketHarness(Protocol):
    """An empty bucket, and the hands that a test needs around it."""

    bucket_id: str

    @property
    def bucket(self) -> Bucket:
        """The bucket as a run sees it; a new one after `reopen`."""
        ...

    def commit(self, results: Sequence[Any]) -> None:
        """Record put results, as a run does after a put. Does nothing where the destination itself records them."""
        ...

    def remove(self, object_ids: Sequence[str]) -> None:
        """Remove objects as a run does: `delete_objects`, then the commit of the removals."""
        ...

    def reopen(self) -> None:
        """Give up the bucket without closing it, as a crash does, and open the same destination anew."""
        ...

    def read(self, sha256: str) -> bytes:
        """Return the bytes that the destination has under this hash."""
        ...

    def object_count(self) -> int:
        """Return how many objects the destination has."""
        ...

    def submissions(self) -> Sequence[str]:
        """Return the batch ids of everything that the destination took for processing, one entry for a repeat."""
        ...


class BucketContract:
    """The tests; they use nothing but the fixture `harness`, a BucketHarness."""

    def test_a_stored_blob_is_what_its_bytes_are(self, harness: BucketHarness) -> None:
        assert harness.bucket.store_blob([b"hel", b"lo"]) == StoredBlob(_HELLO_SHA256, 5)

    def test_an_empty_blob_can_be_stored_and_read(self, harness: BucketHarness) -> None:
        assert harness.bucket.store_blob([]) == StoredBlob(_EMPTY_SHA256, 0)
        assert harness.bucket.store_blob([b"", b""]) == StoredBlob(_EMPTY_SHA256, 0)
        _put(harness, _draft(harness, "empty.txt", "1", b""))
        assert harness.read(_EMPTY_SHA256) == b""

    def test_bytes_are_readable_once_their_object_was_put(self, harness: BucketHarness) -> None:
        _put(harness, _draft(harness, "a.txt", "1", b"hello"))
        assert harness.read(_HELLO_SHA256) == b"hello"

    @pytest.mark.parametrize("size_bytes", [1, 4096, 65_537, 1_048_576, 9_000_000])
    def test_bytes_of_any_size_come_back_unchanged(self, harness: BucketHarness, size_bytes: int) -> None:
        content = bytes(range(251)) * (size_bytes // 251 + 1)
        chunks = [content[:size_bytes][start : start + 65_536] for start in range(0, size_bytes, 65_536)]
        blob = harness.bucket.store_blob(chunks)
        _put(harness, _draft_of(harness, "big.bin", "1", [blob]))
        assert blob.size_bytes == size_bytes
        assert harness.read(blob.sha256) == content[:size_bytes]

    def test_an_error_of_the_source_passes_through_and_the_next_try_works(self, harness: BucketHarness) -> None:
        def broken() -> Iterator[bytes]:
            yield b"hel"
            yield b"l"
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            harness.bucket.store_blob(broken())
        _put(harness, _draft(harness, "a.txt", "1", b"hello"))
        assert harness.read(_HELLO_SHA256) == b"hello"

    def test_many_threads_may_store_the_same_and_different_bytes(self, harness: BucketHarness) -> None:
        contents = [b"content %d" % (number % 10) for number in range(100)]
        with ThreadPoolExecutor(8) as pool:
            blobs = list(pool.map(lambda content: harness.bucket.store_blob([content]), contents))
        assert len(set(blobs)) == 10
        _put(harness, *[_draft_of(harness, f"{number}", "1", [blob]) for number, blob in enumerate(blobs)])
        assert sorted({harness.read(blob.sha256) for blob in blobs}) == sorted(set(contents))

    def test_a_new_object_is_created_under_its_id(self, harness: BucketHarness) -> None:
        draft = _draft(harness, "a.txt", "1", b"hello")
        assert _put(harness, draft) == [("created", draft.object_id)]
        assert _versions(harness, draft) == ["1"]

    def test_answers_have_the_order_of_the_drafts(self, harness: BucketHarness) -> None:
        drafts = [_draft(harness, f"{number}.txt", "1", b"%d" % number) for number in range(100)]
        results = harness.bucket.put_objects(drafts, skip_duplicates=False)
        assert [result.draft for result in results] == drafts

    def test_no_drafts_give_no_answers(self, harness: BucketHarness) -> None:
        assert list(harness.bucket.put_objects([], skip_duplicates=True)) == []

    def test_the_same_version_again_is_already_present(self, harness: BucketHarness) -> None:
        draft = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, draft)
        assert _put(harness, draft) == [("already_present", draft.object_id)]
        assert _versions(harness, draft) == ["1"]

    def test_another_version_replaces_the_object_under_the_same_id(self, harness: BucketHarness) -> None:
        first = _draft(harness, "a.txt", "1", b"hello")
        second = _draft(harness, "a.txt", "2", b"world")
        _put(harness, first)
        assert _put(harness, second) == [("replaced", first.object_id)]
        assert _versions(harness, first) == ["2"]
        assert harness.read(second.blobs[0].sha256) == b"world"

    def test_a_put_repeated_after_a_crash_leaves_one_object(self, harness: BucketHarness) -> None:
        harness.bucket.put_objects([_draft(harness, "a.txt", "1", b"hello")], skip_duplicates=False)
        harness.reopen()
        draft = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, draft)
        assert _versions(harness, draft) == ["1"]
        assert harness.read(_HELLO_SHA256) == b"hello"

    def test_the_same_bytes_under_another_identity_are_a_duplicate(self, harness: BucketHarness) -> None:
        owner = _draft(harness, "a.txt", "1", b"hello")
        copy = _draft(harness, "b.txt", "1", b"hello")
        _put(harness, owner)
        assert _put(harness, copy, skip_duplicates=True) == [("duplicate", owner.object_id)]
        assert _versions(harness, copy) == []

    def test_duplicates_are_created_when_they_are_wanted(self, harness: BucketHarness) -> None:
        owner = _draft(harness, "a.txt", "1", b"hello")
        copy = _draft(harness, "b.txt", "1", b"hello")
        _put(harness, owner)
        assert _put(harness, copy) == [("created", copy.object_id)]

    def test_the_first_of_equal_drafts_in_one_call_owns_the_bytes(self, harness: BucketHarness) -> None:
        drafts = [_draft(harness, name, "1", b"hello") for name in ("b.txt", "a.txt", "c.txt")]
        assert _put(harness, *drafts, skip_duplicates=True) == [
            ("created", drafts[0].object_id),
            ("duplicate", drafts[0].object_id),
            ("duplicate", drafts[0].object_id),
        ]

    def test_bytes_of_an_earlier_uncommitted_call_have_their_owner(self, harness: BucketHarness) -> None:
        owner = _draft(harness, "a.txt", "1", b"hello")
        first = harness.bucket.put_objects([owner], skip_duplicates=True)
        copy = _draft(harness, "b.txt", "1", b"hello")
        assert _put(harness, copy, skip_duplicates=True) == [("duplicate", owner.object_id)]
        harness.commit(first)

    def test_empty_blobs_are_never_duplicates(self, harness: BucketHarness) -> None:
        drafts = [_draft(harness, name, "1", b"") for name in ("a.txt", "b.txt")]
        assert [status for status, _ in _put(harness, *drafts, skip_duplicates=True)] == ["created", "created"]

    def test_objects_without_blobs_are_never_duplicates(self, harness: BucketHarness) -> None:
        drafts = [_draft_of(harness, name, "1", []) for name in ("a.txt", "b.txt")]
        assert [status for status, _ in _put(harness, *drafts, skip_duplicates=True)] == ["created", "created"]

    def test_one_blob_of_its_own_makes_an_object_no_duplicate(self, harness: BucketHarness) -> None:
        shared, own = harness.bucket.store_blob([b"shared"]), harness.bucket.store_blob([b"own"])
        _put(harness, _draft_of(harness, "a.txt", "1", [shared]))
        both = _draft_of(harness, "b.txt", "1", [shared, own])
        assert _put(harness, both, skip_duplicates=True) == [("created", both.object_id)]

    def test_an_object_that_is_there_is_replaced_even_by_bytes_of_another(self, harness: BucketHarness) -> None:
        mine = _draft(harness, "b.txt", "1", b"mine")
        _put(harness, _draft(harness, "a.txt", "1", b"hello"), mine)
        changed = _draft(harness, "b.txt", "2", b"hello")
        assert _put(harness, changed, skip_duplicates=True) == [("replaced", mine.object_id)]

    def test_bytes_that_their_owner_just_gave_up_make_no_duplicate(self, harness: BucketHarness) -> None:
        _put(harness, _draft(harness, "a.txt", "1", b"hello"))
        heir, changed = _draft(harness, "b.txt", "1", b"hello"), _draft(harness, "a.txt", "2", b"world")
        assert _put(harness, heir, changed, skip_duplicates=True) == [
            ("created", heir.object_id),
            ("replaced", changed.object_id),
        ]

    def test_only_objects_that_exist_are_found(self, harness: BucketHarness) -> None:
        draft = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, draft)
        missing = object_id_for(harness.bucket_id, _PROVIDER, "missing.txt")
        found = harness.bucket.find_objects([draft.object_id, missing])
        assert [(stored.object_id, stored.source_path, dict(stored.fields)) for stored in found] == [
            (draft.object_id, "a.txt", {"title": "a.txt"})
        ]
        assert list(found[0].blobs) == list(draft.blobs)

    def test_a_removed_object_is_gone_and_removing_it_again_is_harmless(self, harness: BucketHarness) -> None:
        draft = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, draft)
        harness.remove([draft.object_id])
        harness.bucket.delete_objects([draft.object_id])
        assert _versions(harness, draft) == []

    def test_bytes_of_a_removed_object_are_nobodys(self, harness: BucketHarness) -> None:
        owner = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, owner)
        harness.remove([owner.object_id])
        copy = _draft(harness, "b.txt", "1", b"hello")
        assert _put(harness, copy, skip_duplicates=True) == [("created", copy.object_id)]
        assert harness.read(_HELLO_SHA256) == b"hello"

    def test_what_a_crash_left_unrecorded_is_taken_away_by_settling(self, harness: BucketHarness) -> None:
        draft = _draft(harness, "a.txt", "1", b"hello")
        harness.bucket.put_objects([draft], skip_duplicates=False)
        harness.reopen()
        harness.bucket.settle([draft.object_id])
        assert _versions(harness, draft) == []
        assert harness.object_count() == 0
        assert _put(harness, _draft(harness, "a.txt", "1", b"hello")) == [("created", draft.object_id)]

    def test_settling_leaves_what_is_recorded(self, harness: BucketHarness) -> None:
        draft = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, draft)
        harness.bucket.settle([draft.object_id])
        assert harness.read(_HELLO_SHA256) == b"hello"
        assert harness.object_count() == 1

    def test_a_replacement_that_a_crash_cut_short_leaves_one_object(self, harness: BucketHarness) -> None:
        first = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, first)
        harness.bucket.put_objects([_draft(harness, "a.txt", "2", b"world")], skip_duplicates=False)
        harness.reopen()
        harness.bucket.settle([first.object_id])
        second = _draft(harness, "a.txt", "2", b"world")
        _put(harness, second)
        assert _versions(harness, first) == ["2"]
        assert harness.object_count() == 1
        assert harness.read(second.blobs[0].sha256) == b"world"

    def test_other_fields_leave_the_bytes_as_they_are(self, harness: BucketHarness) -> None:
        draft = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, draft)
        moved = replace(draft, item=replace(draft.item, path="b.txt"), fields={"title": "b.txt"}, blobs=[])
        [answer] = harness.bucket.update_objects([moved])
        assert isinstance(answer, PutResult)
        assert (answer.status, answer.object_id) == ("replaced", draft.object_id)
        assert harness.read(_HELLO_SHA256) == b"hello"

    def test_a_submission_repeated_after_a_crash_is_one(self, harness: BucketHarness) -> None:
        draft = _draft(harness, "a.txt", "1", b"hello")
        _put(harness, draft)
        members = [BatchMember(draft.object_id, "1")]
        first = harness.bucket.submit_batch("btch_1", members, idempotency_key="key-1")
        harness.reopen()
        assert harness.bucket.submit_batch("btch_1", iter(members), idempotency_key="key-1") == first
        assert first.batch_id == "btch_1"
        assert list(harness.submissions()) == ["btch_1"]

    def test_closing_twice_is_harmless(self, harness: BucketHarness) -> None:
        harness.bucket.close()
        harness.bucket.close()


def _draft(harness: BucketHarness, path: str, version: str, content: bytes) -> Draft:
    """Return a draft with one blob of this content, which the bucket then holds."""
    blob = harness.bucket.store_blob([content])
    assert blob == StoredBlob(hashlib.sha256(content).hexdigest(), len(content))
    return _draft_of(harness, path, version, [blob])


def _draft_of(harness: BucketHarness, path: str, version: str, blobs: Sequence[StoredBlob]) -> Draft:
    return Draft(
        object_id=object_id_for(harness.bucket_id, _PROVIDER, path),
        bucket_id=harness.bucket_id,
        source_provider=_PROVIDER,
        item=SourceItem(source_object_id=path, path=path, version=version),
        fields={"title": path},
        blobs=[
            Blob(f"content_{number}", "text", path, "text/plain", blob.size_bytes, blob.sha256)
            for number, blob in enumerate(blobs)
        ],
    )


def _put(harness: BucketHarness, *drafts: Draft, skip_duplicates: bool = False) -> list[tuple[PutStatus, str]]:
    """Put and commit; return status and object id of each, which must not have failed."""
    results = harness.bucket.put_objects(drafts, skip_duplicates=skip_duplicates)
    harness.bucket.make_durable()
    harness.commit(results)
    placed = [result for result in results if isinstance(result, PutResult)]
    assert len(placed) == len(drafts)
    return [(result.status, result.object_id) for result in placed]


def _versions(harness: BucketHarness, draft: Draft) -> list[str]:
    return [stored.version for stored in harness.bucket.find_objects([draft.object_id])]
