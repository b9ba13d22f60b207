"""A program for an environment that holds the vendor's client 0.81.1 and nothing of ours: what fills a bucket.

Reads a JSON object (url, key, namespace) from its input, and writes one with what the client's own models hold.
"""

import base64
import hashlib
import json
import sys
import urllib.request

import mixpeek


def main():
    """Fill a bucket as the vendor's guide says, by its own client."""
    given = json.load(sys.stdin)
    client = mixpeek.ApiClient(mixpeek.Configuration(host=given["url"]))
    client.set_default_header("Authorization", f"Bearer {given['key']}")
    client.set_default_header("X-Namespace", given["namespace"])
    json.dump(session(client), sys.stdout)


def session(client):
    """Return what each step came to."""
    schema = {"properties": {"content": {"type": "text"}, "picture": {"type": "image"}, "title": {"type": "string"}}}
    wanted = mixpeek.BucketCreateRequest.from_dict({"bucket_name": "films", "bucket_schema": schema})
    made = mixpeek.BucketsApi(client).create_bucket(wanted)
    bucket = made.bucket_id
    told = {"bucket": [mixpeek.BucketsApi(client).get_bucket(bucket).bucket_name, made.status]}
    upload_ids = uploaded(client, bucket, told)
    objects = created(client, bucket, upload_ids, told)
    processed(client, bucket, objects, told)
    api = mixpeek.BucketObjectsApi(client)
    api.delete_object_buckets(bucket, objects[0])
    try:
        api.get_object_buckets(bucket, objects[0])
    except mixpeek.exceptions.NotFoundException as error:
        told["gone"] = [error.status, error.data.error.type]
    return told


def uploaded(client, bucket, told):
    """Bring two files by presigned addresses and return their ids."""
    api = mixpeek.BucketUploadsApi(client)
    contents = [b"\x89PNG one", b"\x89PNG two"]
    requests = [
        {
            "filename": f"{number}.png",
            "content_type": "image/png",
            "file_size_bytes": len(content),
            "file_hash": hashlib.sha256(content).hexdigest(),
            "create_object_on_confirm": False,
        }
        for number, content in enumerate(contents)
    ]
    answer = api.create_uploads_batch_buckets(bucket, mixpeek.BatchUploadRequest.from_dict({"uploads": requests}))
    confirmations = []
    for upload, content in zip(answer.uploads, contents, strict=True):
        request = urllib.request.Request(upload.presigned_url, content, {"Content-Type": "image/png"}, method="PUT")
        with urllib.request.urlopen(request) as put:
            confirmations.append({"upload_id": upload.upload_id, "etag": put.headers["ETag"]})
    body = mixpeek.BatchConfirmRequest.from_dict({"confirmations": confirmations})
    task = api.confirm_uploads_batch_buckets(bucket, body)
    told["uploads"] = [answer.total, task.confirmations_count]
    told["confirmed"] = [mixpeek.TasksApi(client).get_task(task.task_id).status]
    ids = [upload.upload_id for upload in answer.uploads]
    told["confirmed"] += [api.get_upload_buckets(bucket, one)["status"] for one in ids]
    again = api.create_uploads_batch_buckets(bucket, mixpeek.BatchUploadRequest.from_dict({"uploads": requests[:1]}))
    told["again"] = [again.uploads[0].is_duplicate, again.uploads[0].duplicate_of_upload_id == ids[0]]
    return ids


def created(client, bucket, upload_ids, told):
    """Create objects, one of which is refused, and return their ids."""
    api = mixpeek.BucketObjectsApi(client)
    data = {"base64": base64.b64encode(b"hello").decode(), "mime_type": "text/plain", "filename": "a.txt"}
    bodies = [
        {"blobs": [{"property": "content", "type": "text", "data": data}], "title": "inline"},
        {"blobs": [{"property": "picture", "type": "image", "upload_id": upload_ids[0]}], "title": "uploaded"},
        {"blobs": [{"property": "nothing", "type": "text", "data": data}], "title": "refused"},
    ]
    request = mixpeek.CreateObjectsBatchRequest.from_dict({"objects": bodies})
    answer = api.create_objects_batch_buckets(bucket, request)
    told["created"] = [answer.succeeded_count, [one.object_index for one in answer.failed]]
    told["blobs"] = [[b.details.filename, b.details.size_bytes] for one in answer.succeeded for b in one.blobs]
    condition = {"field": "title", "operator": "in", "value": ["inline", "refused"]}
    body = mixpeek.ListObjectsRequest.from_dict({"filters": {"AND": [condition]}})
    found = api.list_objects_buckets(bucket, limit=10, list_objects_request=body)
    told["listed"] = [one.additional_properties["title"] for one in found.results]
    return [one.object_id for one in answer.succeeded]


def processed(client, bucket, object_ids, told):
    """Submit a batch and follow its task."""
    api = mixpeek.BucketBatchesApi(client)
    batch = api.create_batch_buckets_batches(bucket, mixpeek.CreateBatchRequest(object_ids=object_ids))
    told["batch"] = [batch.status]
    task = api.submit_batch_buckets_batches(bucket, batch.batch_id, submit_batch_request=mixpeek.SubmitBatchRequest())
    told["batch"] += [task.task_type, mixpeek.TasksApi(client).get_task(task.task_id).status]
    told["batch"] += [api.get_batch_buckets_batches(bucket, batch.batch_id).status]
    drafts = api.list_batches_buckets(bucket, list_batches_request=mixpeek.ListBatchesRequest(status="DRAFT"))
    told["drafts"] = drafts.total_count


if __name__ == "__main__":
    main()
