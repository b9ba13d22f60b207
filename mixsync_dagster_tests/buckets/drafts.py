"""Drafts for tests of buckets: one object at a path, with these contents as its blobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.model.objects import Blob, Draft

if TYPE_CHECKING:
    from mixsync_dagster.model.objects import StoredBlob


def draft_of(path: str, version: str, *blobs: StoredBlob, fields: dict[str, Any] | None = None) -> Draft:
    """Return a draft of bucket `bkt` whose object id is `obj_<path>`; its blobs fill `content_0`, `content_1`..."""
    return Draft(
        object_id=f"obj_{path}",
        bucket_id="bkt",
        source_provider="s3",
        item=SourceItem(source_object_id=f"source/{path}", path=path, version=version),
        fields=fields or {},
        blobs=[
            Blob(f"content_{number}", "image", path, "image/png", blob.size_bytes, blob.sha256)
            for number, blob in enumerate(blobs)
        ],
    )
