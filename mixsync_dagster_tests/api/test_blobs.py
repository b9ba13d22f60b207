"""Bytes of blobs, whole and in part."""

import hashlib

import pytest

from mixsync_dagster.demo.samples import Sample
from mixsync_dagster_tests.api.serving import run_once

CONTENT = b"0123456789"
ETAG = f'"{hashlib.sha256(CONTENT).hexdigest()}"'


@pytest.fixture(scope="module")
def path(estate):
    """The path of the ten bytes."""
    objects = f"/v1/buckets/{estate.library.bucket_id}/objects"
    found = estate.owner.done("POST", f"{objects}/list")["results"]
    one = next(one for one in found if one["source_path"] == "films/a.txt")
    return f"{objects}/{one['object_id']}/blobs/content"


def test_all_bytes_are_a_file_to_save(estate, path):
    answer = estate.owner("GET", path)
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["ETag"] == ETAG
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Content-Disposition"] == "attachment; filename*=UTF-8''a.txt"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("wanted", "content", "told"),
    [
        ("bytes=0-3", b"0123", "bytes 0-3/10"),
        ("bytes=4-", b"456789", "bytes 4-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
        ("bytes=-99", CONTENT, "bytes 0-9/10"),
        ("bytes=9-99", b"9", "bytes 9-9/10"),
        ("bytes=0-0", b"0", "bytes 0-0/10"),
        ("Bytes= 0-3", b"0123", "bytes 0-3/10"),
        ("bytes=8-99999999999999999999", b"89", "bytes 8-9/10"),
        ("bytes=-99999999999999999999", CONTENT, "bytes 0-9/10"),
    ],
)
def test_a_range_is_a_part(estate, path, wanted, content, told):
    answer = estate.owner("GET", path, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (206, content)
    assert answer.headers["Content-Range"] == told
    assert answer.headers["Content-Length"] == str(len(content))


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_a_range_outside_is_refused(estate, path, wanted):
    answer = estate.owner("GET", path, headers={"Range": wanted})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */10")


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-1,3-4",
        "bytes=0-1, 99-",
        "bytes=" + "0-0," * 200 + "1-1",
        "bytes=-",
        "items=0-1",
        "bytes=5-2",
        "bytes=a-b",
    ],
)
def test_any_other_form_of_range_gives_all(estate, path, wanted):
    answer = estate.owner("GET", path, headers={"Range": wanted})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize(
    ("value", "status"), [(ETAG, 304), (f"W/{ETAG}", 304), ("*", 304), (f'"x", {ETAG}', 304), ('"x"', 200)]
)
def test_what_the_client_has_is_not_sent_again(estate, path, value, status):
    answer = estate.owner("GET", path, headers={"If-None-Match": value})
    assert (answer.status_code, answer.headers["ETag"]) == (status, ETAG)
    assert answer.content == (CONTENT if status == 200 else b"")


@pytest.mark.parametrize(
    ("value", "status"), [(ETAG, 206), ('"x"', 200), (f"W/{ETAG}", 200), ("Thu, 01 Jan 2026 00:00:00 GMT", 200)]
)
def test_a_range_of_other_bytes_is_not_mixed_in(estate, path, value, status):
    headers = {"Range": "bytes=0-1", "If-Range": value}
    assert estate.owner("GET", path, headers=headers).status_code == status


def test_a_range_that_is_outside_of_other_bytes_is_no_matter(estate, path):
    answer = estate.owner("GET", path, headers={"Range": "bytes=99-", "If-Range": '"x"'})
    assert (answer.status_code, answer.content) == (200, CONTENT)


@pytest.mark.parametrize("wanted", ["bytes=0-1", "bytes=99-"])
def test_what_the_client_has_comes_before_its_range(estate, path, wanted):
    answer = estate.owner("GET", path, headers={"Range": wanted, "If-None-Match": ETAG})
    assert (answer.status_code, answer.content) == (304, b"")
    assert "Content-Range" not in answer.headers


def test_an_unknown_blob_is_absent(estate, path):
    assert estate.owner("GET", path.replace("/content", "/poster")).status_code == 404


def test_bytes_that_are_gone_are_absent(own_estate):
    objects = f"/v1/buckets/{own_estate.library.bucket_id}/objects"
    one = own_estate.owner.done("GET", f"{objects}/{own_estate.library.object_id}")
    blobs = own_estate.services.open_blobs()
    blobs.delete(one["blobs"][0]["sha256"])
    blobs.close()
    assert own_estate.owner("GET", f"{objects}/{one['object_id']}/blobs/content").status_code == 404


def test_names_and_types_from_the_source_do_not_reach_the_headers_as_they_are(own_estate, source):
    key = 'films/"; filename=x\u20ac.html'
    source.put(Sample(key, b"<script>", "text/html", metadata={"owner": "eve"}))
    try:
        run_once(own_estate.services, own_estate.library.sync_id, "run_second")
    finally:
        source.delete(key)
    objects = f"/v1/buckets/{own_estate.library.bucket_id}/objects"
    found = own_estate.owner.done("POST", f"{objects}/list")["results"]
    one = next(one for one in found if one["source_path"] == key)
    answer = own_estate.owner("GET", f"{objects}/{one['object_id']}/blobs/content")
    expected = "attachment; filename*=UTF-8''%22%3B%20filename%3Dx%E2%82%AC.html"
    assert answer.headers["Content-Disposition"] == expected
