"""Drafts of one blob for tests of a bucket at the service, and what became of them."""

from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.model.objects import Blob, Draft, PutResult
from mixsync_dagster_tests.buckets.mixpeek.harness import MixpeekHarness

BUCKET = MixpeekHarness.bucket_id


def draft(harness, path, version="1", content=b"hello", *, mime="text/plain", kind="text", prop="content_0", **fields):
    """Return a draft of one blob that the bucket holds."""
    stored = harness.bucket.store_blob([content])
    return Draft(
        object_id=object_id_for(BUCKET, "s3", path),
        bucket_id=BUCKET,
        source_provider="s3",
        item=SourceItem(source_object_id=path, path=path, version=version),
        fields=fields,
        blobs=[Blob(prop, kind, path.rpartition("/")[2], mime, stored.size_bytes, stored.sha256)],
    )


def picture(harness, path, version="1", content=b"\x89PNG"):
    return draft(harness, path, version, content, mime="image/png", kind="image", prop="picture")


def put(harness, *drafts, commit=True):
    answers = harness.bucket.put_objects(drafts, skip_duplicates=False)
    if commit:
        harness.commit(answers)
    return answers


def statuses(answers):
    return [one.status if isinstance(one, PutResult) else one.error.error_type for one in answers]


def titles(harness):
    return sorted(one["title"] for one in harness.there.objects.values())


def passing_time(service, harness):
    """Let the service's time pass with the bucket's."""
    slept = harness.clock.sleep

    def sleep(seconds):
        slept(seconds)
        service.advance(seconds)

    harness.clock.sleep = sleep
