"""Whole runs of a sync whose source is a bucket behind a FaultProxy."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.testing.fault_proxy import FaultProxy, Hook, ProxiedRequest
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster_tests.engine.support import World
from mixsync_dagster_tests.support.s3_servers import ACCESS_KEY, SECRET_KEY, TestBucket

SMALL = "small.txt"
UGLY = "odd//name.txt"
LARGE = "large.bin"
CONTENTS = {
    SMALL: b"the content of a small file" * 40,
    UGLY: b"the content of a file with an odd name" * 40,
    LARGE: bytes(range(256)) * 6144,
}
"""A key for each way of reading: obstore for small plain keys, signed requests for odd ones, a stream for large."""
LISTING = {"list-type": "2"}


@dataclass
class Faulted:
    """A world of the engine, its source bucket, and the proxy between the two."""

    world: World
    bucket: TestBucket
    proxy: FaultProxy
    source: dict[str, bytes] = field(default_factory=dict)
    """What the bucket holds, by key."""
    asked: list[tuple[float, str, str]] = field(default_factory=list)
    """Time by the world's clock, path inside the bucket and query of every request, in order."""

    def __post_init__(self) -> None:
        self.watch()

    def watch(self) -> None:
        """Note requests from now on; rules that are added later come behind and still see them."""
        self.proxy.add(Hook(), when=self._note)

    def _note(self, request: ProxiedRequest) -> bool:
        path = request.path.removeprefix(f"/{self.bucket.name}").removeprefix("/")
        self.asked.append((self.world.clock.monotonic(), path, request.query))
        return False

    def put(self, key: str, content: bytes) -> None:
        """Write an object past the proxy."""
        self.bucket.put(key, content)
        self.source[key] = content

    def delete(self, key: str) -> None:
        """Remove an object past the proxy."""
        self.bucket.delete(key)
        del self.source[key]

    def fill(self) -> None:
        """Write one object for each way of reading."""
        for key, content in CONTENTS.items():
            self.put(key, content)

    def provider(self, **changes: Any) -> S3Provider:
        """Return a provider that reads the bucket through the proxy, by the world's clock."""
        plain: dict[str, Any] = {
            "container": self.bucket.name,
            "dialect": "generic",
            "endpoint_url": self.proxy.url,
            "endpoint_id": "store",
            "access_key_id": ACCESS_KEY,
            "secret_access_key": SECRET_KEY,
            "addressing_style": "path",
            "page_keys": 5,
        }
        return S3Provider(S3Settings(**plain | changes), self.world.clock)

    def run(self, **changes: Any) -> RunRecord:
        """Run the sync as a process of its own would, put together as the composition root does it."""
        pacer = Retrier(self.world.clock, seed=1)
        provider = retrying(self.provider(**changes), pacer)
        try:
            return self.world.run(self.world.tools(provider=provider, pacer=pacer))
        finally:
            provider.close()

    def calm(self) -> None:
        """End all faults."""
        self.proxy.clear()
        self.asked.clear()
        self.watch()

    def times_of(self, path: str) -> list[float]:
        """Return when a path was asked for, by the world's clock; "" for listings."""
        return [at for at, asked, _ in self.asked if asked == path]

    def require_no_wrong_blob(self) -> None:
        """Fail when an object holds bytes that its source never had, or a blob is not what its name says."""
        for path, content in self.world.contents().items():
            assert content == self.source[path], f"{path} holds wrong bytes"
        bucket = self.world.open_bucket()
        for stored in self.world.objects().values():
            for blob in stored.blobs:
                content = b"".join(bucket.open_blob(blob.sha256))
                assert hashlib.sha256(content).hexdigest() == blob.sha256

    def settles(self) -> None:
        """Fail unless, without faults, the bucket becomes what the source is and nothing is left to do."""
        self.calm()
        self.world.clock.advance(3600)
        for _ in range(6):
            if self.run().status == "completed" and self.world.contents() == self.source:
                break
        assert self.world.contents() == self.source
        assert self.world.letters() == {}
        assert len(self.world.batched()) == len(set(self.world.batched()))
