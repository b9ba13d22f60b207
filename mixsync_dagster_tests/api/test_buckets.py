"""Buckets, their objects and batches."""


def test_a_bucket_is_made_found_by_id_and_name_and_deleted(ask):
    schema = {"properties": {"content": {"type": "text"}}}
    made = ask.done("POST", "/v1/buckets", {"bucket_name": "films", "bucket_schema": schema, "metadata": {"a": 1}})
    assert made["bucket_id"].startswith("bkt_")
    assert (made["bucket_name"], made["object_count"], made["metadata"]) == ("films", 0, {"a": 1})
    assert made["bucket_schema"]["properties"]["content"]["type"] == "text"
    assert ask.done("GET", f"/v1/buckets/{made['bucket_id']}") == ask.done("GET", "/v1/buckets/films") == made
    assert [one["bucket_id"] for one in ask.done("POST", "/v1/buckets/list")["results"]] == [made["bucket_id"]]
    ask.done("DELETE", "/v1/buckets/films")
    assert ask("GET", f"/v1/buckets/{made['bucket_id']}").status_code == 404
    assert ask.done("POST", "/v1/buckets/list")["total"] == 0


def test_a_name_belongs_to_one_bucket(ask):
    made = ask.done("POST", "/v1/buckets", {"bucket_name": "films"})
    again = ask("POST", "/v1/buckets", {"bucket_name": "films"})
    assert (again.status_code, again.json()["error"]["message"]) == (
        409,
        "name: a bucket named films exists; choose another name.",
    )
    assert ask.done("GET", "/v1/buckets/films")["bucket_id"] == made["bucket_id"]


def test_a_unique_key_is_refused_with_the_reason(ask):
    answer = ask("POST", "/v1/buckets", {"bucket_name": "x", "unique_key": {"fields": ["a"]}})
    assert answer.status_code == 422
    assert "identity" in answer.json()["error"]["message"]


def test_a_bucket_in_use_is_not_deleted(own_estate):
    ask, library = own_estate.owner, own_estate.library
    path = f"/v1/buckets/{library.bucket_id}"
    assert "has syncs" in ask("DELETE", path).json()["error"]["message"]
    ask.done("DELETE", library.sync)
    refused = ask("DELETE", path)
    assert (refused.status_code, "has objects" in refused.json()["error"]["message"]) == (409, True)
    assert ask.done("GET", path)["object_count"] == 2


def test_objects_have_their_fields_at_the_root_too(estate):
    path = f"/v1/buckets/{estate.library.bucket_id}/objects"
    found = {one["source_path"]: one for one in estate.owner.done("POST", f"{path}/list")["results"]}
    assert set(found) == {"films/a.txt", "films/b [x].txt"}
    one = found["films/a.txt"]
    assert (one["owner"], one["fields"]) == ("ana", {"owner": "ana"})
    assert (one["source_provider"], one["status"]) == ("s3", "COMPLETED")
    assert one["blobs"][0]["details"]["size_bytes"] == 10
    assert estate.owner.done("GET", f"{path}/{one['object_id']}") == one


def test_objects_are_paged_by_cursor_and_by_page(estate):
    path = f"/v1/buckets/{estate.library.bucket_id}/objects/list"
    first = estate.owner.done("POST", path, params={"limit": 1, "include_total": True})
    assert (first["pagination"]["total"], first["pagination"]["page"]) == (2, 1)
    cursor = first["pagination"]["next_cursor"]
    second = estate.owner.done("POST", path, params={"limit": 1, "cursor": cursor})
    assert (second["pagination"]["next_cursor"], second["pagination"]["page"]) == (None, None)
    assert second["results"] == estate.owner.done("POST", path, params={"page": 2, "page_size": 1})["results"]
    assert first["results"] != second["results"]


def test_objects_are_filtered_by_sync(estate):
    path = f"/v1/buckets/{estate.library.bucket_id}/objects/list"
    body = {"sync_config_id": estate.library.sync_id}
    assert len(estate.owner.done("POST", path, body)["results"]) == 2
    assert estate.owner("POST", path, {"sync_config_id": "sync_000000000000000"}).status_code == 404


def test_removed_objects_are_gone(own_estate):
    ask, library = own_estate.owner, own_estate.library
    with own_estate.services.store._database.write() as tx:
        tx.run("UPDATE objects SET state = 'tombstoned' WHERE object_id = ?", library.object_id)
    path = f"/v1/buckets/{library.bucket_id}/objects"
    assert ask("GET", f"{path}/{library.object_id}").status_code == 404
    assert len(ask.done("POST", f"{path}/list")["results"]) == 1
    assert ask("GET", f"{path}/{library.object_id}/blobs/content").status_code == 404


def test_a_batch_tells_its_objects(estate):
    path = f"/v1/buckets/{estate.library.bucket_id}/batches"
    listed = estate.owner.done("POST", f"{path}/list")
    assert (listed["total_count"], listed["results"][0]["object_ids"]) == (1, [])
    one = estate.owner.done("GET", f"{path}/{estate.library.batch_id}")
    assert (one["status"], one["state"], one["size"]) == ("COMPLETED", "submitted", 2)
    assert estate.library.object_id in one["object_ids"]
    assert len(one["object_ids"]) == 2
    # The vendor's client reads no batch without them.
    assert (one["max_node_death_resubmits"], one["max_deploy_resubmits"]) == (0, 0)
