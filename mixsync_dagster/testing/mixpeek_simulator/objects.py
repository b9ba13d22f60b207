"""Objects: created alone or up to 100 at once with partial success, changed, listed, deleted."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mixsync_dagster.testing.mixpeek_simulator import uploads
from mixsync_dagster.testing.mixpeek_simulator.answers import Answer, Refused, Request, integer
from mixsync_dagster.testing.mixpeek_simulator.books import BLOB_TYPES, INLINE_BYTES, Bucket, token, told
from mixsync_dagster.testing.mixpeek_simulator.filters import accepts

if TYPE_CHECKING:
    from mixsync_dagster.testing.mixpeek_simulator.simulator import MixpeekSimulator

_MOST = 100
_OPTIONS = frozenset({"key_prefix", "blobs", "skip_duplicates", "canonicalize_source", "force_remirror"})
_RESERVED = frozenset({"status", "object_id", "bucket_id", "error", "created_at", "updated_at", "source_details"})
_BLOB_KEYS = frozenset(
    {"property", "key_prefix", "type", "data", "upload_id", "metadata", "canonicalize_source", "force_remirror"}
)


def create(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Create one object; on a bucket with a unique key, by the policy that is asked for."""
    body = request.json()
    policy = request.query.get("policy") or (bucket.record.get("unique_key") or {}).get("default_policy")
    if not bucket.unique_fields:
        return Answer.of(_created(simulator, bucket, body))
    if policy is None:
        raise Refused(400, "BadRequestError", "the bucket has a unique key; give a policy")
    same = _with_same_key(bucket, body)
    if same is not None and policy == "insert":
        raise Refused(409, "ConflictError", "an object with this unique key exists")
    if same is None and policy == "update":
        raise Refused(404, "NotFoundError", "no object with this unique key exists")
    return Answer.of(_created(simulator, bucket, body, object_id=same))


def create_batch(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Create what can be created; 422 with the same body when nothing can."""
    asked = request.json().get("objects")
    if not isinstance(asked, list) or len(asked) > _MOST:
        raise Refused(422, "ValidationError", f"objects: give up to {_MOST}")
    if bucket.unique_fields:
        raise Refused(422, "ValidationError", "the bucket has a unique key; create its objects one by one")
    succeeded, failed = [], []
    for index, body in enumerate(asked):
        try:
            succeeded.append(_created(simulator, bucket, body))
        except Refused as refused:
            failed.append({"object_index": index, "error": str(refused), "error_type": refused.error["type"]})
    counts = {"total_requested": len(asked), "succeeded_count": len(succeeded), "failed_count": len(failed)}
    return Answer.of({"succeeded": succeeded, "failed": failed, **counts}, 200 if succeeded or not asked else 422)


def get(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Return one object, with addresses of its bytes where they are asked for."""
    found = _object_of(bucket, request)
    if request.query.get("return_presigned_urls") == "true":
        found = {**found, "blobs": [_with_address(simulator, found["object_id"], blob) for blob in found["blobs"]]}
    return Answer.of(found)


def patch(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Change fields; blobs stay."""
    found, body = _object_of(bucket, request), request.json()
    _refuse_reserved(body)
    found.update({name: value for name, value in body.items() if name != "skip_duplicates"})
    found["updated_at"] = told(simulator.now())
    return Answer.of(found)


def delete(_simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Delete one object."""
    object_id = _object_of(bucket, request)["object_id"]
    del bucket.objects[object_id]
    bucket.deleted.append(object_id)
    return Answer(204)


def listing(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Return a page of the objects that the filters take, newest first; what is younger than the lag is not told."""
    limit = integer(request, "limit", low=1, high=1000, default=100)
    filters = request.json().get("filters")
    seen_before = simulator.now() - simulator.faults.list_lag_seconds
    found = [
        one
        for object_id, one in reversed(bucket.objects.items())
        if bucket.created_at[object_id] <= seen_before and accepts(filters, one)
    ]
    cursor = request.query.get("cursor")
    start = 0 if cursor is None else int(cursor.removeprefix("after-"))
    start += integer(request, "offset", low=0, high=10_000, default=0)
    page = found[start : start + limit]
    more = f"after-{start + limit}" if len(found) > start + limit else None
    names = request.json().get("select")
    results = [_selected(one, names) for one in page]
    return Answer.of({"results": results, "pagination": {"next_cursor": more, "page_size": limit}})


def download(simulator: MixpeekSimulator, request: Request) -> Answer:
    """Return the bytes of a blob at a presigned address."""
    for bucket in simulator.buckets.values():
        content = bucket.contents.get((request.groups["id"], request.groups["blob"]))
        if content is not None:
            return Answer(200, content, {"Content-Type": "application/octet-stream"})
    return Answer(404)


def _created(simulator: MixpeekSimulator, bucket: Bucket, body: Any, *, object_id: str | None = None) -> dict[str, Any]:
    if not isinstance(body, Mapping):
        raise Refused(422, "ValidationError", "an object is no JSON object")
    reason = simulator.faults.refused_objects(body)
    if reason is not None:
        raise Refused(422, "ValidationError", reason)
    _refuse_reserved(body)
    blobs = [_blob(simulator, bucket, one) for one in body.get("blobs") or ()]
    fields = {name: value for name, value in body.items() if name not in _OPTIONS}
    filled = fields.keys() | {blob["property"] for blob, _ in blobs}
    for name, declared in bucket.properties.items():
        if declared.get("required") and name not in filled:
            raise Refused(422, "ValidationError", f"{name} is required by the schema of the bucket")
    object_id, now = object_id or token("obj_", 16), simulator.now()
    record = {
        "object_id": object_id,
        "bucket_id": bucket.record["bucket_id"],
        "key_prefix": body.get("key_prefix"),
        "blobs": [blob for blob, _ in blobs],
        "source_details": [{"type": "bucket", "source_id": bucket.record["bucket_id"]}],
        "status": "DRAFT",
        "error": None,
        "created_at": told(now),
        "updated_at": told(now),
        **fields,
    }
    bucket.objects[object_id] = record
    bucket.created_at.setdefault(object_id, now)
    bucket.contents.update({(object_id, blob["blob_id"]): content for blob, content in blobs})
    return record


def _refuse_reserved(body: Mapping[str, Any]) -> None:
    reserved = sorted(_RESERVED & body.keys())
    if reserved:
        raise Refused(422, "ValidationError", f"{reserved[0]} is a reserved name")


def _blob(simulator: MixpeekSimulator, bucket: Bucket, asked: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    unknown = sorted(asked.keys() - _BLOB_KEYS)
    if unknown:
        raise Refused(422, "ValidationError", f"blob: {unknown[0]} is not accepted")
    declared = bucket.properties.get(str(asked.get("property")))
    if declared is None or declared["type"] not in BLOB_TYPES:
        raise Refused(422, "ValidationError", f"the schema of the bucket has no blob {asked.get('property')}")
    if asked.get("type") != declared["type"]:
        raise Refused(422, "ValidationError", f"{asked['property']} is of type {declared['type']}")
    if (asked.get("upload_id") is None) == (asked.get("data") is None):
        raise Refused(422, "ValidationError", "blob: give either data or upload_id")
    if asked.get("upload_id") is not None:
        upload = uploads.usable(bucket, asked["upload_id"])
        content, filename, mime_type = upload.content or b"", upload.record["filename"], upload.record["content_type"]
    else:
        content, filename, mime_type = _inline(simulator, asked["data"])
    details = {
        "filename": filename,
        "size_bytes": len(content),
        "mime_type": mime_type,
        "hash": hashlib.sha256(content).hexdigest(),
    }
    blob = {"blob_id": token("blob_", 12), "property": asked["property"], "type": declared["type"]}
    return {**blob, "properties": asked.get("metadata") or {}, "details": details}, content


def _inline(simulator: MixpeekSimulator, data: Any) -> tuple[bytes, str | None, str | None]:
    """Return bytes, file name and MIME type of the one form that is simulated: base64 with its MIME type."""
    if not isinstance(data, Mapping) or not isinstance(data.get("base64"), str):
        raise Refused(422, "ValidationError", "data: only base64 objects are simulated")
    try:
        content = base64.b64decode(data["base64"], validate=True)
    except binascii.Error:
        raise Refused(422, "ValidationError", "data: the base64 is damaged") from None
    if not content or len(content) > INLINE_BYTES[simulator.tier]:
        raise Refused(422, "ValidationError", f"data: {len(content)} bytes are not accepted inline")
    return content, data.get("filename"), data.get("mime_type")


def _with_same_key(bucket: Bucket, body: Mapping[str, Any]) -> str | None:
    key = [body.get(name) for name in bucket.unique_fields]
    for object_id, one in bucket.objects.items():
        if [one.get(name) for name in bucket.unique_fields] == key:
            return object_id
    return None


def _object_of(bucket: Bucket, request: Request) -> dict[str, Any]:
    found = bucket.objects.get(request.groups["id"])
    if found is None:
        raise Refused(404, "NotFoundError", f"object {request.groups['id']} does not exist")
    return found


def _with_address(simulator: MixpeekSimulator, object_id: str, blob: Mapping[str, Any]) -> dict[str, Any]:
    url = f"{simulator.url}/_store/{object_id}/{blob['blob_id']}?X-Amz-Signature={token('', 16)}"
    return {**blob, "properties": {**blob["properties"], "presigned_url": url}}


def _selected(one: Mapping[str, Any], names: list[str] | None) -> dict[str, Any]:
    if names is None:
        return dict(one)
    return {name: value for name, value in one.items() if name in {"object_id", "bucket_id", *names}}
