from __future__ import annotations

from mixsync_dagster.buckets.handlers import ManifestHandler


def test_a_batch_left_to_its_manifest_has_no_task() -> None:
    handler = ManifestHandler()
    assert [handler.handle("btch_1", "/m/btch_1.parquet", idempotency_key="key") for _ in range(2)] == [None, None]
