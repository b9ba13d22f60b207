"""The bucket contract, for a bucket at the simulated service; `harness` is conftest's."""

from mixsync_dagster.testing.contracts.bucket import BucketContract


class TestMixpeekBucket(BucketContract):
    """Every exchange is held against the vendor's OpenAPI as well."""
