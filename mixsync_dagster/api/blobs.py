"""The bytes of an object's blobs, whole or in part."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse

from mixsync_dagster.api.access import Viewer
from mixsync_dagster.api.failures import ApiError
from mixsync_dagster.api.operations import errors_told
from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.validation import shown

router = APIRouter(prefix="/v1/buckets/{bucket_id}/objects/{object_id}/blobs", tags=["Buckets"])

# The name of the unit is in any case; several ranges are answered by everything, as they may be.
_RANGE = re.compile(r"bytes=[ \t]*(\d{0,40})-(\d{0,40})[ \t]*", re.ASCII | re.IGNORECASE)
_MIME = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}", re.ASCII)
_BYTES = {"content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}


@router.get(
    "/{blob_property}",
    summary="Read a blob's bytes; Range gives a part of them, ETag is their sha256",
    operation_id="read_blob",
    response_class=Response,
    responses={
        200: {"description": "All bytes.", **_BYTES},
        206: {"description": "A part of them.", **_BYTES},
        304: {"description": "They are what If-None-Match says."},
        **errors_told(404, 416),
    },
)
def read_blob(
    call: Viewer,
    bucket_id: str,
    object_id: str,
    blob_property: str,
    *,
    wanted: Annotated[str | None, Header(alias="Range", max_length=1000, description="One range of bytes.")] = None,
    if_range: Annotated[str | None, Header(alias="If-Range", max_length=100)] = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match", max_length=1000)] = None,
) -> Response:
    """Return the bytes of one blob of an object."""
    stored = call.tenant.object(call.tenant.bucket(bucket_id), object_id)
    blob = next((one for one in stored.blobs if one.property == blob_property), None)
    if blob is None:
        raise NotFound(f"the object has no blob {shown(blob_property)} here.")
    etag = f'"{blob.sha256}"'
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        # Never shown as a page of this server: what is stored was written by others.
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(blob.filename, safe='', errors='replace')}",
        "Content-Type": blob.mime_type if _MIME.fullmatch(blob.mime_type) else "application/octet-stream",
    }
    if if_none_match is not None and _matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    part = _part(wanted, blob.size_bytes) if if_range in (None, etag) else None
    start, length = part or (0, blob.size_bytes)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{blob.size_bytes}"
    headers["Content-Length"] = str(length)
    blobs = call.services.open_blobs()
    if not blobs.exists(blob.sha256):
        blobs.close()
        raise NotFound(f"the bytes of blob {shown(blob_property)} are not here; `mixsync verify` says more.")

    def chunks() -> Iterator[bytes]:
        try:
            yield from blobs.open(blob.sha256, start, length)
        finally:
            blobs.close()

    return StreamingResponse(chunks(), status_code=200 if part is None else 206, headers=headers)


def _matches(condition: str, etag: str) -> bool:
    return any(one.strip().removeprefix("W/") in ("*", etag) for one in condition.split(","))


def _part(wanted: str | None, size_bytes: int) -> tuple[int, int] | None:
    """Return start and length of the part that a Range header asks for; None for all, as for any other form.

    Raises ApiError (416) when it lies outside of the bytes.
    """
    match = None if wanted is None else _RANGE.fullmatch(wanted.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size_bytes - int(last))
    end = min(int(last), size_bytes - 1) if first and last else size_bytes - 1
    if first and last and int(last) < int(first):
        return None
    if start > end:
        said = f"the range lies outside of the {size_bytes} bytes; give one inside."
        raise ApiError(416, "range", said, (("Content-Range", f"bytes */{size_bytes}"),))
    return start, end - start + 1
