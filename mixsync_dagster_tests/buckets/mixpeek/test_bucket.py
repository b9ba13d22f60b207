"""What a bucket at the service does beyond the contract: its calls, refusals, lost answers and limits."""

import hashlib
from dataclasses import replace

import pytest

from mixsync_dagster.errors import (
    BucketDenied,
    ConfigurationError,
    ItemRefused,
    MappingFailed,
    NotFound,
    ProviderUnavailable,
    RateLimited,
)
from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.objects import PutResult, PutStatus
from mixsync_dagster.ports.bucket import PutFailure
from mixsync_dagster_tests.buckets.mixpeek.drafting import BUCKET, draft, passing_time, picture, put, statuses, titles
from mixsync_dagster_tests.buckets.mixpeek.harness import MixpeekHarness


def test_small_text_and_json_travel_inside_of_their_objects(service, harness):
    put(
        harness,
        draft(harness, "a.txt"),
        draft(harness, "b.json", content=b'{"url": "https://example.com"}', mime="application/json"),
        draft(harness, "c.txt", content=b"https://example.com/looks/like/an/address"),
    )
    assert service.count("object_batch") == 1
    assert service.count("upload_create", "upload_batch", "upload_put", "upload_confirm") == 0
    blob = next(iter(harness.there.objects.values()))["blobs"][0]
    assert blob["details"] == {
        "filename": "a.txt",
        "size_bytes": 5,
        "mime_type": "text/plain",
        "hash": hashlib.sha256(b"hello").hexdigest(),
    }


def test_anything_else_is_uploaded_with_its_name_type_size_and_hash(service, harness):
    put(harness, picture(harness, "folder/../a\\b.png"), picture(harness, "c.png", content=b"\x89other"))
    [asked] = [one.sent["uploads"] for one in service.exchanges if one.kind == "upload_batch"]
    assert asked[0] == {
        "filename": "a_b.png",
        "content_type": "image/png",
        "file_size_bytes": 4,
        "file_hash": hashlib.sha256(b"\x89PNG").hexdigest(),
        "skip_duplicates": True,
        "create_object_on_confirm": False,
    }
    confirmations = [one.sent for one in service.exchanges if one.kind == "upload_confirm"]
    assert confirmations[0] == {
        "etag": hashlib.md5(b"\x89PNG").hexdigest(),
        "file_size_bytes": 4,
    }


def test_many_uploads_take_one_call_of_each_kind(service, harness):
    answers = put(harness, *[picture(harness, f"{number}.png", content=b"%d" % number) for number in range(100)])
    assert statuses(answers) == [PutStatus.CREATED] * 100
    kinds = ("bucket_get", "object_list", "upload_batch", "upload_confirm_batch", "object_batch")
    assert {kind: service.count(kind) for kind in kinds} == dict.fromkeys(kinds, 1)
    assert service.count() == len(kinds)
    assert service.count("upload_put") == 100


def test_objects_that_are_created_before_their_uploads_are_confirmed_wait_for_that(service, harness):
    service.faults.confirm_seconds = 2.5
    passing_time(service, harness)
    answers = put(harness, *[picture(harness, f"{number}.png", content=b"%d" % number) for number in range(3)])
    assert statuses(answers) == [PutStatus.CREATED] * 3
    assert service.count("task_get") == 3
    assert harness.clock.slept == [1.0, 2.0]


def test_an_upload_that_is_not_confirmed_fails_its_own_object_only(service, harness):
    service.faults.confirm_seconds = 1.5
    passing_time(service, harness)
    drafts = [picture(harness, f"{number}.png", content=b"%d" % number) for number in range(3)]

    def lose_one():
        bad = next(one for one in harness.there.uploads.values() if one.record["filename"] == "1.png")
        bad.content = b"damaged"

    service.faults.add("object_batch", before=lose_one)
    assert statuses(put(harness, *drafts)) == [PutStatus.CREATED, "checksum_mismatch", PutStatus.CREATED]


def test_bytes_that_a_run_before_has_brought_are_not_sent_again(service, harness):
    service.faults.add("object_batch", status=500, times=None)
    with pytest.raises(ProviderUnavailable):
        put(harness, *[picture(harness, f"{number}.png", content=b"%d" % number) for number in range(3)])
    assert service.count("upload_put") == 3
    service.faults.clear()
    harness.reopen()
    put(harness, *[picture(harness, f"{number}.png", content=b"%d" % number) for number in range(3)])
    assert service.count("upload_put") == 3
    assert harness.object_count() == 3


def test_the_same_bytes_under_another_name_have_an_upload_of_their_own(harness):
    put(harness, picture(harness, "a.png"), picture(harness, "b.png"))
    assert sorted(one["blobs"][0]["details"]["filename"] for one in harness.there.objects.values()) == [
        "a.png",
        "b.png",
    ]


def test_bytes_that_were_brought_under_another_name_are_announced_under_their_own(service, harness):
    put(harness, picture(harness, "a.png"))
    harness.reopen()
    put(harness, picture(harness, "b.png"))
    assert [one["blobs"][0]["details"]["filename"] for one in harness.there.objects.values()] == ["a.png", "b.png"]
    assert [one.sent["skip_duplicates"] for one in service.exchanges if one.kind == "upload_create"] == [
        True,
        True,
        False,
    ]


def test_bytes_that_arrive_damaged_are_sent_again(service, harness):
    service.faults.damaged_puts = 1
    assert statuses(put(harness, picture(harness, "a.png"))) == [PutStatus.CREATED]
    assert service.count("upload_put") == 2
    assert harness.read(hashlib.sha256(b"\x89PNG").hexdigest()) == b"\x89PNG"


def test_what_leans_on_the_bytes_of_a_refused_object_is_put_itself(service, harness):
    service.faults.refused_objects = lambda body: "no" if body["title"] == "bad" else None
    drafts = [draft(harness, name, title=name) for name in ("bad", "copy")]
    answers = harness.bucket.put_objects(drafts, skip_duplicates=True)
    assert statuses(answers) == ["validation_error", PutStatus.CREATED]
    harness.commit(answers)
    assert titles(harness) == ["copy"]


def test_a_refused_object_owns_no_bytes_in_the_next_put(service, harness):
    service.faults.refused_objects = lambda body: "no" if body["title"] == "bad" else None
    harness.bucket.put_objects([draft(harness, "bad", title="bad")], skip_duplicates=True)
    answers = harness.bucket.put_objects([draft(harness, "copy", title="copy")], skip_duplicates=True)
    assert statuses(answers) == [PutStatus.CREATED]


def test_what_the_service_refuses_is_that_object_s_failure(service, harness):
    service.faults.refused_objects = lambda body: "title is not nice" if body.get("title") == "bad" else None
    answers = put(harness, *[draft(harness, name, title=name) for name in ("good", "bad", "fine")])
    assert statuses(answers) == [PutStatus.CREATED, "validation_error", PutStatus.CREATED]
    error = answers[1].error
    assert isinstance(error, ItemRefused)
    assert error.permanent
    assert str(error) == "the service refuses the object of s3:bad (ValidationError: title is not nice)."


def test_when_nothing_is_taken_every_object_has_its_own_reason(service, harness):
    service.faults.refused_objects = lambda body: f"not {body['title']}"
    answers = put(harness, draft(harness, "a", title="a"), draft(harness, "b", title="b"))
    assert [str(one.error).rpartition(": ")[2] for one in answers] == ["not a).", "not b)."]


def test_a_call_that_is_refused_as_a_whole_is_halved_until_each_object_has_its_answer(service, harness):
    drafts = [draft(harness, f"{number}", title=f"{number}") for number in range(4)]
    service.faults.add("object_batch", status=400, times=2)
    assert statuses(put(harness, *drafts)) == [PutStatus.CREATED] * 4
    assert service.count("object_batch") == 5


@pytest.mark.parametrize("name", ["status", "object_id", "mixsync_version"])
def test_a_field_with_a_name_that_the_service_keeps_is_told_before_anything_is_sent(service, harness, name):
    [answer] = put(harness, draft(harness, "a.txt", **{name: "x"}))
    assert isinstance(answer.error, MappingFailed)
    assert f"keeps the name {name}" in str(answer.error)
    assert service.count("object_batch") == 0


def test_a_blob_that_the_schema_has_no_place_for_is_told_before_its_bytes_are_sent(service, harness):
    answers = put(
        harness,
        draft(harness, "a", prop="nothing"),
        draft(harness, "b", prop="picture"),
        draft(harness, "c", kind="binary", mime="application/octet-stream"),
    )
    assert statuses(answers) == ["validation_error"] * 3
    assert "has no blob nothing" in str(answers[0].error)
    assert "it is of type text, and picture is of type image" in str(answers[1].error)
    assert "no kind that the service knows" in str(answers[2].error)
    assert service.count("upload_create", "upload_batch", "object_batch") == 0


def test_the_replacement_is_there_before_the_old_object_goes(service, harness):
    put(harness, draft(harness, "a.txt"))
    first = next(iter(harness.there.objects))
    seen = []
    service.faults.add("object_delete", before=lambda: seen.append(len(harness.there.objects)))
    assert statuses(put(harness, draft(harness, "a.txt", "2", b"world"))) == [PutStatus.REPLACED]
    assert seen == [2]
    assert harness.there.deleted == [first]


def test_a_replacement_that_is_refused_leaves_the_old_object(service, harness):
    put(harness, draft(harness, "a.txt", title="first"))
    service.faults.refused_objects = lambda _body: "no"
    assert statuses(put(harness, draft(harness, "a.txt", "2", b"world", title="second"))) == ["validation_error"]
    assert titles(harness) == ["first"]


def test_a_lost_answer_makes_no_second_object(service, harness):
    service.faults.list_lag_seconds = 1.5
    passing_time(service, harness)
    service.faults.add("object_batch", lost=True, times=2)
    drafts = [draft(harness, f"{number}", title=f"{number}") for number in range(3)]
    assert statuses(put(harness, *drafts)) == [PutStatus.CREATED] * 3
    assert titles(harness) == ["0", "1", "2"]


def test_objects_of_a_lost_state_store_are_taken_over(service, harness):
    put(harness, draft(harness, "a.txt"), draft(harness, "b.txt"), commit=False)
    harness.reopen()
    assert statuses(put(harness, draft(harness, "a.txt"), draft(harness, "b.txt", "2", b"world"))) == [
        PutStatus.ALREADY_PRESENT,
        PutStatus.REPLACED,
    ]
    assert harness.object_count() == 2
    assert set(harness.catalog.remote.values()) == set(harness.there.objects)


def test_two_objects_of_one_identity_become_one(service, harness):
    put(harness, draft(harness, "a.txt"), commit=False)
    found = next(iter(harness.there.objects.values()))
    harness.there.objects["obj_twin"] = {**found, "object_id": "obj_twin", "created_at": "2020-01-01T00:00:00+00:00"}
    harness.there.created_at["obj_twin"] = 0.0
    harness.reopen()
    put(harness, draft(harness, "a.txt"))
    assert list(harness.there.objects) == [found["object_id"]]


def test_a_removal_that_was_cut_short_is_told_and_its_object_made_anew(service, harness):
    put(harness, draft(harness, "a.txt"), draft(harness, "b.txt"))
    ids = [object_id_for(BUCKET, "s3", path) for path in ("a.txt", "b.txt")]
    harness.bucket.delete_objects(ids[:1])
    harness.reopen()
    assert harness.bucket.settle(ids) == ids[:1]
    del harness.catalog.remote[ids[0]]
    assert statuses(put(harness, draft(harness, "a.txt"))) == [PutStatus.CREATED]
    assert harness.object_count() == 2
    assert harness.bucket.settle(ids) == []


def test_removing_takes_everything_that_carries_the_identity(harness):
    put(harness, draft(harness, "a.txt"))
    harness.bucket.put_objects([draft(harness, "a.txt", "2", b"world")], skip_duplicates=False)
    harness.bucket.delete_objects([object_id_for(BUCKET, "s3", "a.txt")])
    assert harness.object_count() == 0


def test_only_fields_that_changed_are_sent(service, harness):
    put(harness, draft(harness, "a.txt", title="A", kept=1, gone="x"))
    moved = replace(draft(harness, "a.txt", title="B", kept=1), blobs=[])
    assert statuses(harness.bucket.update_objects([moved])) == [PutStatus.REPLACED]
    assert [one.sent for one in service.exchanges if one.kind == "object_patch"] == [{"title": "B", "gone": None}]
    harness.commit([PutResult(replace(moved, blobs=[]), PutStatus.REPLACED, moved.object_id)])
    harness.bucket.update_objects([moved])
    assert service.count("object_patch") == 1


def test_a_moved_object_that_is_gone_is_no_failure_of_the_run(harness):
    [answer] = harness.bucket.update_objects([replace(draft(harness, "a.txt"), blobs=[])])
    assert isinstance(answer, PutFailure)
    assert answer.error.error_type == "vanished"


def test_a_bucket_with_a_unique_key_is_filled_one_by_one_and_updated_in_place(service, tmp_path):
    harness = MixpeekHarness(service, tmp_path, unique_key={"fields": ["sku"]})
    assert statuses(put(harness, *[draft(harness, name, sku=name) for name in "ab"])) == [PutStatus.CREATED] * 2
    assert statuses(put(harness, draft(harness, "a", "2", sku="a"))) == [PutStatus.REPLACED]
    assert (service.count("object_batch"), service.count("object_create"), harness.object_count()) == (0, 3, 2)
    assert harness.there.deleted == []
    harness.close()


def test_a_file_larger_than_the_tier_is_refused_while_it_is_read(service, tmp_path):
    harness = MixpeekHarness(service, tmp_path, most_file_bytes=10)
    with pytest.raises(ItemRefused, match="larger than the service takes") as refused:
        harness.bucket.store_blob([b"0123456", b"789ab"])
    assert (refused.value.error_type, refused.value.permanent) == ("too_large", True)
    harness.close()


def test_a_file_that_the_service_finds_too_large_has_that_class_and_the_others_go_on(service, harness):
    service.faults.add("upload_batch", status=400, error="BadRequestError")
    service.faults.add("upload_create", status=413)
    answers = put(harness, picture(harness, "a.png"), picture(harness, "b.png", content=b"b"))
    assert statuses(answers) == ["too_large", PutStatus.CREATED]


def test_a_refused_key_is_told_and_asks_for_nothing_more(service, harness):
    service.api_key = "sk_other"
    with pytest.raises(BucketDenied, match=r"refuses the API key of this bucket .* \(status 401 UnauthorizedError"):
        harness.bucket.store_blob([b"x"])
    assert service.count() == 1


def test_a_bucket_that_is_not_there_is_told_before_the_first_byte(service, harness):
    service.buckets.clear()
    with pytest.raises(NotFound, match="no bucket bkt_contract in the namespace ns_simulated"):
        harness.bucket.store_blob(iter(pytest.fail, None))


def test_too_many_calls_wait_as_long_as_the_service_says(service, harness):
    passing_time(service, harness)
    service.faults.requests_per_minute = 2
    assert statuses(put(harness, draft(harness, "a.txt"))) == [PutStatus.CREATED]
    assert sum(harness.clock.slept) >= 59
    assert service.count() == 4


def test_details_tell_the_wait_where_no_header_does(service, harness):
    service.faults.add("object_batch", status=429, details={"retry_after_seconds": 17})
    put(harness, draft(harness, "a.txt"))
    assert 17 <= harness.clock.slept[0] <= 19


def test_what_cannot_be_retried_is_not(service, harness):
    service.faults.add("object_batch", status=429, details={"retryable": False}, times=None)
    with pytest.raises(ConfigurationError, match="trying again is useless"):
        put(harness, draft(harness, "a.txt"))
    assert service.count("object_batch") == 1


def test_patience_ends_and_names_what_the_service_said(service, harness):
    service.faults.add("object_batch", status=429, error="RateLimitError", times=None)
    with pytest.raises(RateLimited, match="asks to slow down"):
        put(harness, draft(harness, "a.txt"))
    assert service.count("object_batch") == 12


def test_calls_are_made_at_the_tier_s_rate(service, tmp_path):
    harness = MixpeekHarness(service, tmp_path, requests_per_minute=3)
    passing_time(service, harness)
    service.faults.requests_per_minute = 3
    put(harness, draft(harness, "a.txt"))
    put(harness, draft(harness, "b.txt"))
    assert all(one.status == 200 for one in service.exchanges)
    assert harness.clock.slept == [60.0]
    harness.close()


def test_a_blob_is_read_back_through_its_presigned_address(harness):
    put(harness, picture(harness, "a.png"))
    assert b"".join(harness.bucket.open_blob(hashlib.sha256(b"\x89PNG").hexdigest())) == b"\x89PNG"
    with pytest.raises(NotFound, match="no object of the bucket has the bytes"):
        harness.bucket.open_blob("0" * 64)


def test_the_key_goes_to_the_api_alone_and_is_shown_nowhere(service, harness):
    put(harness, picture(harness, "a.png"))
    keyless = [one for one in service.exchanges if "authorization" not in one.headers]
    assert {one.kind for one in keyless} == {"upload_put"}
    assert service.api_key not in repr(harness.settings)
