"""The bucket contract, for the embedded bucket over a folder and over an object store's client."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixsync_dagster.buckets.blob_folder import BlobFolder
from mixsync_dagster.buckets.blob_remote import BlobRemote
from mixsync_dagster.buckets.manifest import ManifestFolder, ManifestRemote
from mixsync_dagster.testing.contracts.bucket import BucketContract
from mixsync_dagster_tests.buckets.harness import EmbeddedHarness

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestEmbeddedBucketInAFolder(BucketContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[EmbeddedHarness]:
        harness = EmbeddedHarness(lambda: (BlobFolder(tmp_path / "blobs"), ManifestFolder(tmp_path / "manifests")))
        yield harness
        harness.close()


class TestEmbeddedBucketInAnObjectStore(BucketContract):
    @pytest.fixture
    def harness(self, tmp_path: Path) -> Iterator[EmbeddedHarness]:
        url = tmp_path.as_uri()
        harness = EmbeddedHarness(lambda: (BlobRemote(url), ManifestRemote(url)))
        yield harness
        harness.close()
