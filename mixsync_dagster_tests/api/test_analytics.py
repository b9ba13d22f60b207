"""The numbers of a bucket's syncs."""

import pytest

from mixsync_dagster_tests.api.serving import run_once


@pytest.fixture
def analytics(own_estate):
    bucket = own_estate.library.bucket_id

    def told(what, **params):
        return own_estate.owner.done("GET", f"/v1/analytics/buckets/{bucket}/{what}", params=params)

    return told


def test_runs_and_their_sums_are_told(own_estate, analytics):
    library = own_estate.library
    run_once(own_estate.services, library.sync_id, "run_second")
    told = analytics("sync-performance", limit=1)
    [newest] = told["runs"]
    assert (newest["sync_run_id"], newest["status"], newest["provider_type"]) == ("run_second", "completed", "s3")
    assert told["summary"]["finished_runs"] == 2
    assert (told["summary"]["success_rate"], told["summary"]["total_files_synced"]) == (1.0, 2)
    [first] = analytics("sync-performance", sync_config_id=library.sync_id)["runs"][1:]
    assert (first["files_discovered"], first["files_synced"], first["files_failed"]) == (3, 2, 1)
    assert first["bytes_synced"] == 14
    assert first["throughput_mbps"] > 0
    assert (
        own_estate.owner(
            "GET", f"/v1/analytics/buckets/{library.bucket_id}/sync-performance", params={"sync_config_id": "sync_none"}
        ).status_code
        == 404
    )


def test_syncs_are_told_beside_each_other(own_estate, analytics):
    [told] = analytics("sync-comparison")["configs"]
    assert (told["sync_config_id"], told["success_rate"]) == (own_estate.library.sync_id, 1.0)
    assert (told["total_files_synced"], told["total_bytes_synced"]) == (2, 14)
    assert told["avg_duration_seconds"] > 0


def test_health_tells_errors_and_stuck_syncs(own_estate, analytics):
    told = analytics("health")
    assert (told["overall_health"], told["total_errors"], told["stuck_syncs"]) == ("degraded", 1, [])
    [error] = told["error_breakdown"]
    assert (error["error_type"], error["count"], error["percentage"]) == ("schema_mismatch", 1, 100.0)
    [sync] = told["sync_health"]
    assert (sync["failure_rate"], sync["last_failure_at"]) == (0.0, None)
    assert sync["last_success_at"] > told["time_range"]["start"]
    with own_estate.services.store._database.write() as tx:
        tx.run("UPDATE syncs SET next_sync_at = next_sync_at - 3600000000")
    told = analytics("health")
    assert (told["overall_health"], told["stuck_syncs"]) == ("unhealthy", [own_estate.library.sync_id])


def test_a_bucket_without_syncs_is_healthy(ask):
    bucket = ask.done("POST", "/v1/buckets", {"bucket_name": "empty"})["bucket_id"]
    told = ask.done("GET", f"/v1/analytics/buckets/{bucket}/health")
    assert (told["overall_health"], told["error_breakdown"], told["sync_health"]) == ("healthy", [], [])
    assert ask.done("GET", f"/v1/analytics/buckets/{bucket}/sync-comparison")["configs"] == []
    assert ask.done("GET", f"/v1/analytics/buckets/{bucket}/sync-performance")["runs"] == []


@pytest.mark.parametrize("hours", [0, 721, "week"])
def test_hours_have_bounds(own_estate, hours):
    path = f"/v1/analytics/buckets/{own_estate.library.bucket_id}/health"
    assert own_estate.owner("GET", path, params={"hours": hours}).status_code == 422
