"""Objects of every size: nothing, one byte, around the borders between ways of reading, and far beyond them."""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from mixsync_dagster.engine.transfers import CHUNK_BYTES as MOST_IN_MEMORY
from mixsync_dagster.errors import ItemCorrupt
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.providers.s3.bytes_reader import CHUNK_BYTES, SMALL_BYTES
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.testing.fault_proxy import Answer, FaultProxy, ProxiedRequest, Rewrite
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures
from mixsync_dagster_tests.engine.support import World
from mixsync_dagster_tests.providers.s3.faulted import LISTING, Faulted
from mixsync_dagster_tests.support.s3_servers import LyingServer, Reply, TestBucket

MIB = 1024 * 1024
TIB = 1024**4
SIZES = (0, 1, SMALL_BYTES - 1, SMALL_BYTES, SMALL_BYTES + 1, 2 * CHUNK_BYTES - 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1)
"""The border between one piece and a stream, and that between two chunks, each with its neighbours."""


def content_of(size: int) -> bytes:
    """Return bytes that differ from size to size, in every part."""
    return (hashlib.sha256(b"%d" % size).digest() * (size // 32 + 1))[:size]


@pytest.fixture
def faulted(make_world: Callable[..., World], moto_bucket: TestBucket) -> Iterator[Faulted]:  # noqa: F811 - fixtures
    with FaultProxy(moto_bucket.server.endpoint_url, seed=1) as proxy:
        yield Faulted(make_world(), moto_bucket, proxy)


def test_objects_around_every_border_arrive_as_they_are(faulted: Faulted) -> None:
    for size in SIZES:
        faulted.put(f"{size:08}.bin", content_of(size))
    record = faulted.run()
    assert (record.status, record.counters.created) == ("completed", len(SIZES))
    assert record.counters.bytes == sum(SIZES)
    assert faulted.world.contents() == faulted.source
    assert faulted.run().counters.unchanged == len(SIZES)


@pytest.mark.parametrize("size", [5 * TIB, 53_656_000_000_000], ids=["5 TiB", "48.8 TiB"])
def test_the_largest_sizes_of_the_protocol_fit_everywhere_and_an_answer_that_is_shorter_is_that_objects_failure(
    faulted: Faulted, size: int
) -> None:
    def as_large(_request: ProxiedRequest, answer: Answer) -> Answer:
        return replace(answer, body=answer.body.replace(b"<Size>7<", b"<Size>%d<" % size))

    faulted.put("large.bin", b"7 bytes")
    faulted.put("small.bin", b"small")
    faulted.proxy.add(Rewrite(as_large), query=LISTING)
    record = faulted.run()
    assert (record.status, record.counters.created, record.counters.failed) == ("completed_with_errors", 1, 1)
    letter = faulted.world.letters()["large.bin"]
    assert (letter.state, str(size) in letter.error_message) == ("waiting", True)
    faulted.settles()


def test_a_large_object_is_never_in_memory(lying_server: LyingServer, lying_settings: S3Settings) -> None:
    body = bytes(96 * MIB)
    etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
    lying_server.answer = lambda _: Reply(200, body, {"ETag": f'"{etag}"'})
    item = SourceItem("store/bucket/a.bin", "a.bin", etag, size_bytes=len(body))
    provider = S3Provider(lying_settings, SystemClock())
    tracemalloc.start()
    try:
        received = sum(len(chunk) for chunk in provider.read(item))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert received == len(body)
    assert peak < MOST_IN_MEMORY < 64 * MIB


def test_an_object_that_grew_beyond_its_listed_size_is_refused_before_it_is_read(
    lying_server: LyingServer, lying_settings: S3Settings
) -> None:
    answered: dict[str, Any] = {"ETag": '"e"'}
    lying_server.answer = lambda _: Reply(200, b"x" * (2 * MIB + 1), answered)
    item = SourceItem("store/bucket/a.bin", "a.bin", "e", size_bytes=2 * MIB)
    with pytest.raises(ItemCorrupt, match="listed with"):
        next(iter(S3Provider(lying_settings, SystemClock()).read(item)))
