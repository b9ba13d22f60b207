"""What the simulated service promises to those who test against it, seen by a client that is not ours."""

import base64
import hashlib

import httpx
import pytest

from mixsync_dagster.testing.mixpeek_simulator import API_KEY, NAMESPACE, MixpeekSimulator
from mixsync_dagster_tests.buckets.mixpeek.openapi import check

BUCKET = "/v1/buckets/bkt_films"
SCHEMA = {"content": {"type": "text"}, "picture": {"type": "image"}, "title": {"type": "string"}}


@pytest.fixture
def service():
    with MixpeekSimulator() as simulator:
        simulator.add_bucket("bkt_films", SCHEMA)
        yield simulator
        for exchange in simulator.exchanges:
            if exchange.kind != "other":
                check(exchange)


@pytest.fixture
def client(service):
    headers = {"Authorization": f"Bearer {API_KEY}", "X-Namespace": NAMESPACE}
    with httpx.Client(base_url=service.url, headers=headers, trust_env=False, timeout=10) as client:
        yield client


def inline(text):
    data = {"base64": base64.b64encode(text.encode()).decode(), "mime_type": "text/plain", "filename": "a.txt"}
    return {"property": "content", "type": "text", "data": data}


def done(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def uploaded(client, content=b"hello", **asked):
    given = {"filename": "a.txt", "content_type": "text/plain", "create_object_on_confirm": False, **asked}
    upload = done(client.post(f"{BUCKET}/uploads", json=given))
    answer = httpx.put(
        upload["presigned_url"], content=content, headers={"Content-Type": "text/plain"}, trust_env=False
    )
    return upload["upload_id"], answer


def test_a_key_and_a_namespace_are_asked_for(service, client):
    assert client.get(BUCKET, headers={"Authorization": "Bearer sk_other"}).status_code == 401
    assert httpx.get(f"{service.url}{BUCKET}", headers={"Authorization": f"Bearer {API_KEY}"}).status_code == 400
    assert client.get(BUCKET, headers={"X-Namespace": "ns_other"}).status_code == 404
    assert done(client.get(BUCKET))["bucket_schema"]["properties"]["picture"]["type"] == "image"


def test_an_upload_is_announced_put_and_confirmed_before_an_object_may_have_it(service, client):
    upload_id, put = uploaded(client)
    assert put.headers["ETag"].strip('"') == hashlib.md5(b"hello").hexdigest()
    blob = {"property": "content", "type": "text", "upload_id": upload_id}
    early = client.post(f"{BUCKET}/objects/batch", json={"objects": [{"blobs": [blob]}]})
    assert (early.status_code, early.json()["failed_count"]) == (422, 1)
    assert done(client.post(f"{BUCKET}/uploads/{upload_id}/confirm", json={}))["status"] == "COMPLETED"
    made = done(client.post(f"{BUCKET}/objects", json={"blobs": [blob], "title": "A"}))
    assert made["blobs"][0]["details"]["hash"] == hashlib.sha256(b"hello").hexdigest()
    assert made["title"] == "A"


def test_the_same_hash_again_needs_no_upload(client):
    sha256 = hashlib.sha256(b"hello").hexdigest()
    first, _ = uploaded(client, file_hash=sha256)
    client.post(f"{BUCKET}/uploads/{first}/confirm", json={})
    again = done(
        client.post(f"{BUCKET}/uploads", json={"filename": "b.txt", "content_type": "text/plain", "file_hash": sha256})
    )
    assert (again["is_duplicate"], again["presigned_url"], again["duplicate_of_upload_id"]) == (True, None, first)


@pytest.mark.parametrize(
    ("asked", "confirmation"),
    [({"file_size_bytes": 6}, {}), ({"file_hash": "0" * 64}, {}), ({}, {"etag": "0" * 32})],
)
def test_bytes_that_are_not_the_announced_ones_are_not_confirmed(client, asked, confirmation):
    upload_id, _ = uploaded(client, **asked)
    assert client.post(f"{BUCKET}/uploads/{upload_id}/confirm", json=confirmation).status_code == 400


def test_many_confirmations_are_a_task_in_the_background(service, client):
    service.faults.confirm_seconds = 60
    ids = [uploaded(client)[0], uploaded(client)[0]]
    told = done(
        client.post(f"{BUCKET}/uploads/confirm/batch", json={"confirmations": [{"upload_id": one} for one in ids]})
    )
    assert done(client.get(f"/v1/tasks/{told['task_id']}"))["status"] == "PENDING"
    service.advance(61)
    assert done(client.get(f"/v1/tasks/{told['task_id']}"))["status"] == "COMPLETED"
    assert done(client.get(f"{BUCKET}/uploads/{ids[1]}"))["status"] == "COMPLETED"


def test_a_file_above_the_tier_is_refused_before_its_bytes(client):
    big = {"filename": "a.txt", "content_type": "text/plain", "file_size_bytes": 100 * 1024**2 + 1}
    answer = client.post(f"{BUCKET}/uploads", json=big)
    assert answer.status_code == 400
    assert "tier limit" in answer.json()["error"]["message"]


def test_what_can_be_created_is_created_and_the_rest_is_told(client):
    bad = [{"blobs": [{"property": "nothing", "type": "text", "data": "x"}]}, {"status": "mine"}]
    answer = done(client.post(f"{BUCKET}/objects/batch", json={"objects": [bad[0], {"title": "A"}, bad[1]]}))
    assert [one["object_index"] for one in answer["failed"]] == [0, 2]
    assert (answer["succeeded_count"], answer["succeeded"][0]["title"]) == (1, "A")
    none = client.post(f"{BUCKET}/objects/batch", json={"objects": bad})
    assert (none.status_code, none.json()["failed_count"]) == (422, 2)


def test_lists_are_filtered_and_lag_behind(service, client):
    for name in "abc":
        client.post(f"{BUCKET}/objects", json={"title": name})
    wanted = {"filters": {"AND": [{"field": "title", "operator": "in", "value": ["a", "c"]}]}}
    page = done(client.post(f"{BUCKET}/objects/list?limit=1", json=wanted))
    rest = done(client.post(f"{BUCKET}/objects/list?limit=1&cursor={page['pagination']['next_cursor']}", json=wanted))
    assert [page["results"][0]["title"], rest["results"][0]["title"]] == ["c", "a"]
    assert rest["pagination"]["next_cursor"] is None
    service.faults.list_lag_seconds = 60
    assert done(client.post(f"{BUCKET}/objects/list", json={}))["results"] == []
    service.advance(61)
    assert len(done(client.post(f"{BUCKET}/objects/list", json={}))["results"]) == 3


def test_a_unique_key_asks_for_single_calls_and_a_policy(service, client):
    service.add_bucket("bkt_keyed", {"sku": {"type": "string"}}, unique_key={"fields": ["sku"]})
    keyed = "/v1/buckets/bkt_keyed/objects"
    assert client.post(f"{keyed}/batch", json={"objects": [{"sku": "1"}]}).status_code == 422
    assert client.post(keyed, json={"sku": "1"}).status_code == 400
    first = done(client.post(f"{keyed}?policy=upsert", json={"sku": "1"}))
    assert done(client.post(f"{keyed}?policy=upsert", json={"sku": "1"}))["object_id"] == first["object_id"]
    assert client.post(f"{keyed}?policy=insert", json={"sku": "1"}).status_code == 409


def test_a_batch_is_submitted_once_and_processed_in_the_background(service, client):
    service.faults.batch_seconds = 60
    object_id = done(client.post(f"{BUCKET}/objects", json={"blobs": [inline("hello")]}))["object_id"]
    batch = done(client.post(f"{BUCKET}/batches", json={"object_ids": [object_id]}))
    assert batch["status"] == "DRAFT"
    task = done(client.post(f"{BUCKET}/batches/{batch['batch_id']}/submit", json={}))
    assert client.post(f"{BUCKET}/batches/{batch['batch_id']}/submit", json={}).status_code == 400
    assert done(client.get(f"/v1/tasks/{task['task_id']}"))["status"] == "PENDING"
    service.advance(61)
    assert done(client.get(f"/v1/tasks/{task['task_id']}"))["status"] == "COMPLETED"
    assert done(client.get(f"{BUCKET}/batches/{batch['batch_id']}"))["status"] == "COMPLETED"


def test_a_draft_that_nobody_submits_is_gone_after_half_an_hour(service, client):
    object_id = done(client.post(f"{BUCKET}/objects", json={"title": "A"}))["object_id"]
    batch = done(client.post(f"{BUCKET}/batches", json={"object_ids": [object_id]}))
    service.advance(31 * 60)
    assert client.get(f"{BUCKET}/batches/{batch['batch_id']}").status_code == 404
    assert service.reaped == [batch["batch_id"]]


def test_too_many_calls_a_minute_are_told_to_wait(service, client):
    service.faults.requests_per_minute = 2
    answers = [client.get(BUCKET) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 429]
    told = answers[2].json()["error"]["details"]["retry_after_seconds"]
    assert answers[2].headers["Retry-After"] == str(told)
    service.advance(told)
    assert client.get(BUCKET).status_code == 200


def test_a_lost_answer_is_of_a_request_that_was_carried_out(service, client):
    service.faults.add("object_create", lost=True)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post(f"{BUCKET}/objects", json={"title": "A"})
    assert [one["title"] for one in service.buckets["bkt_films"].objects.values()] == ["A"]


def test_a_deleted_object_is_gone_and_told_so_the_second_time(client):
    object_id = done(client.post(f"{BUCKET}/objects", json={"title": "A"}))["object_id"]
    assert done(client.patch(f"{BUCKET}/objects/{object_id}", json={"title": "B"}))["title"] == "B"
    assert [client.delete(f"{BUCKET}/objects/{object_id}").status_code for _ in range(2)] == [204, 404]


def test_a_blob_s_bytes_can_be_had_by_a_presigned_address(client):
    object_id = done(client.post(f"{BUCKET}/objects", json={"blobs": [inline("hello")]}))["object_id"]
    told = done(client.get(f"{BUCKET}/objects/{object_id}?return_presigned_urls=true"))
    url = told["blobs"][0]["properties"]["presigned_url"]
    assert httpx.get(url, trust_env=False).content == b"hello"
