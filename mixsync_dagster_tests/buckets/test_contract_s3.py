"""The bucket contract, for the embedded bucket over the S3 protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixsync_dagster.buckets.blob_remote import BlobRemote
from mixsync_dagster.buckets.manifest import ManifestRemote
from mixsync_dagster.testing.contracts.bucket import BucketContract
from mixsync_dagster_tests.buckets.harness import EmbeddedHarness
from mixsync_dagster_tests.support.s3_servers import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    TestBucket,
    moto_bucket,
    moto_server,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["moto_bucket", "moto_server"]


class TestEmbeddedBucketOnS3(BucketContract):
    @pytest.fixture
    def harness(self, moto_bucket: TestBucket) -> Iterator[EmbeddedHarness]:
        keys = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY, "region": REGION}
        options = keys | {"endpoint": moto_bucket.server.endpoint_url, "allow_http": True}
        url = f"s3://{moto_bucket.name}/prefix"
        harness = EmbeddedHarness(lambda: (BlobRemote(url, options=options), ManifestRemote(url, options=options)))
        yield harness
        harness.close()
