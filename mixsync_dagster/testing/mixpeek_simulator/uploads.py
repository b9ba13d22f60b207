"""Uploads: announced, filled at a presigned address, confirmed one by one or many in the background."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from mixsync_dagster.testing.mixpeek_simulator.answers import Answer, Refused, Request
from mixsync_dagster.testing.mixpeek_simulator.books import TIER_BYTES, Bucket, Task, Upload, token, told

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixsync_dagster.testing.mixpeek_simulator.simulator import MixpeekSimulator

_MOST = 100
_HASH = re.compile(r"[a-f0-9]{64}")
_MIME = re.compile(r"[\w.+-]+/[\w.+-]+(;.*)?")


def create(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Announce one upload."""
    return Answer.of(_created(simulator, bucket, request.json()))


def create_batch(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Announce 1 to 100 uploads; one that is not accepted refuses them all."""
    body = request.json()
    asked = _several(body, "uploads")
    shared = body.get("shared_metadata") or {}
    made = [
        _created(simulator, bucket, {**one, "metadata": {**shared, **(one.get("metadata") or {})}}) for one in asked
    ]
    return Answer.of({"uploads": made, "total": len(made)})


def put(simulator: MixpeekSimulator, request: Request) -> Answer:
    """Take the bytes at a presigned address, as the object store does."""
    upload = simulator.upload(request.groups["id"])
    expired = upload is not None and simulator.now() > upload.record["_expires_at"]
    if upload is None or expired or request.query.get("X-Amz-Signature") != upload.signature:
        return Answer(403, b"<Error><Code>AccessDenied</Code></Error>", {"Content-Type": "application/xml"})
    if request.headers.get("content-type") != upload.record["content_type"]:
        return Answer(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", {"Content-Type": "application/xml"})
    content = request.body
    if simulator.faults.damaged_puts and content:
        simulator.faults.damaged_puts -= 1
        content = bytes([content[0] ^ 0xFF]) + content[1:]
    if upload.record["status"] == "PENDING":
        upload.content = content
    return Answer(200, b"", {"ETag": f'"{_md5(content)}"'})


def get(_simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Return one upload."""
    return Answer.of(_shown(_upload_of(bucket, request.groups["id"]).record))


def confirm(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Confirm one upload at once. Asking again for a confirmed one answers the same (inferred: no source says)."""
    upload = _upload_of(bucket, request.groups["id"])
    _confirm(simulator, upload, request.json())
    record = upload.record
    return Answer.of(
        {name: record[name] for name in ("upload_id", "status", "etag", "file_size_bytes", "completed_at")}
    )


def confirm_batch(simulator: MixpeekSimulator, bucket: Bucket, request: Request) -> Answer:
    """Begin to confirm 1 to 100 uploads; what becomes of each is seen at the uploads themselves."""
    asked = _several(request.json(), "confirmations")

    def work() -> str:
        failed = 0
        for one in asked:
            try:
                _confirm(simulator, _upload_of(bucket, str(one.get("upload_id"))), one)
            except Refused:
                failed += 1
        if not failed:
            return "COMPLETED"
        return "FAILED" if failed == len(asked) else "COMPLETED_WITH_ERRORS"

    record = {
        "task_id": token("task_", 16),
        "task_type": "api_buckets_uploads_batch_confirm",
        "status": "PENDING",
        "inputs": [str(one.get("upload_id")) for one in asked],
    }
    simulator.begin_task(Task(record, simulator.now() + simulator.faults.confirm_seconds, work))
    return Answer.of(
        {"task_id": record["task_id"], "status": "PENDING", "confirmations_count": len(asked), "task": dict(record)}
    )


def usable(bucket: Bucket, upload_id: str) -> Upload:
    """Return a confirmed upload of the bucket. Raises Refused."""
    upload = _upload_of(bucket, upload_id)
    if upload.record["status"] != "COMPLETED":
        raise Refused(422, "ValidationError", f"upload {upload_id} is not confirmed")
    return upload


def _created(simulator: MixpeekSimulator, bucket: Bucket, asked: Mapping[str, Any]) -> dict[str, Any]:
    filename, content_type, size = asked.get("filename"), asked.get("content_type"), asked.get("file_size_bytes")
    if not isinstance(filename, str) or not 1 <= len(filename) <= 255 or ".." in filename or "\\" in filename:  # noqa: PLR2004
        raise Refused(422, "ValidationError", "filename is not accepted")
    if not isinstance(content_type, str) or not _MIME.fullmatch(content_type):
        raise Refused(422, "ValidationError", "content_type is not accepted")
    if size is not None and (not isinstance(size, int) or size < 1):
        raise Refused(422, "ValidationError", "file_size_bytes is not accepted")
    if size is not None and size > TIER_BYTES[simulator.tier]:
        said = f"File size {size} exceeds the {simulator.tier} tier limit of {TIER_BYTES[simulator.tier]} bytes"
        raise Refused(400, "BadRequestError", said, details={"file_size_bytes": size})
    sha256 = asked.get("file_hash")
    if sha256 is not None and not _HASH.fullmatch(str(sha256)):
        raise Refused(422, "ValidationError", "file_hash is not accepted")
    if sha256 is not None and asked.get("skip_duplicates", True):
        for upload in bucket.uploads.values():
            if upload.record["file_hash"] == sha256 and upload.record["status"] == "COMPLETED":
                same = {"is_duplicate": True, "duplicate_of_upload_id": upload.record["upload_id"]}
                return {**_shown(upload.record), **same, "presigned_url": None}
    return _announced(simulator, bucket, asked)


def _announced(simulator: MixpeekSimulator, bucket: Bucket, asked: Mapping[str, Any]) -> dict[str, Any]:
    upload_id, signature, now = token("upl_", 16), token("", 32), simulator.now()
    lasts = asked.get("presigned_url_expiration", 3600)
    record = {
        "upload_id": upload_id,
        "bucket_id": bucket.record["bucket_id"],
        "filename": asked["filename"],
        "content_type": asked["content_type"],
        "file_size_bytes": asked.get("file_size_bytes"),
        "presigned_url_expiration": lasts,
        "s3_key": f"int_simulated/{bucket.namespace}/api_buckets_uploads_create/{upload_id}/{asked['filename']}",
        "status": "PENDING",
        "metadata": asked.get("metadata") or {},
        "create_object_on_confirm": asked.get("create_object_on_confirm", True),
        "file_hash": asked.get("file_hash"),
        "skip_duplicates": asked.get("skip_duplicates", True),
        "is_duplicate": False,
        "created_at": told(now),
        "expires_at": told(now + lasts),
        "completed_at": None,
        "etag": None,
        "_expires_at": now + lasts,
    }
    bucket.uploads[upload_id] = Upload(record, signature)
    url = f"{simulator.url}/_store/{upload_id}?X-Amz-Signature={signature}&X-Amz-Expires={lasts}"
    return {**_shown(record), "presigned_url": url}


def _confirm(simulator: MixpeekSimulator, upload: Upload, told_by_client: Mapping[str, Any]) -> None:
    record = upload.record
    if record["status"] == "COMPLETED":
        return
    if upload.content is None:
        raise Refused(400, "BadRequestError", f"upload {record['upload_id']}: no file was uploaded")
    size, etag, sha256 = len(upload.content), _md5(upload.content), hashlib.sha256(upload.content).hexdigest()
    claimed = str(told_by_client.get("etag") or etag).strip('"')
    sizes = {told_by_client.get("file_size_bytes"), record["file_size_bytes"]} - {None}
    if claimed != etag or sizes - {size} or record["file_hash"] not in (None, sha256):
        record["status"] = "FAILED"
        raise Refused(400, "BadRequestError", f"upload {record['upload_id']}: the file is not the one announced")
    record.update(status="COMPLETED", etag=etag, file_size_bytes=size, completed_at=told(simulator.now()))
    record["file_hash"] = sha256


def _upload_of(bucket: Bucket, upload_id: str) -> Upload:
    upload = bucket.uploads.get(upload_id)
    if upload is None:
        raise Refused(404, "NotFoundError", f"upload {upload_id} does not exist")
    return upload


def _several(body: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    asked = body.get(name)
    if not isinstance(asked, list) or not 1 <= len(asked) <= _MOST:
        raise Refused(422, "ValidationError", f"{name}: give 1 to {_MOST}")
    return asked


def _shown(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if not name.startswith("_")}


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
