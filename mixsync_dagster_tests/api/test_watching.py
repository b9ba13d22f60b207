"""Whether the server lives and works, and its numbers."""

from prometheus_client.parser import text_string_to_metric_families

from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster_tests.api.serving import Client


def samples(text):
    return {
        (sample.name, sample.labels.get("sync")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_health_needs_no_key(estate):
    nobody = Client(estate.url)
    assert nobody.done("GET", "/healthz") == nobody.done("GET", "/readyz") == {"status": "ok"}


def test_an_outage_of_the_store_is_seen_by_readyz_alone(ask, services, monkeypatch):
    def outage():
        raise StoreUnavailable("down")

    monkeypatch.setattr(services.store, "has_keys", outage)
    assert ask("GET", "/readyz").status_code == 503
    assert ask("GET", "/healthz").status_code == 200


def test_numbers_of_syncs_are_told(estate):
    told = samples(estate.owner("GET", "/metrics").text)
    wanted = {
        "mixsync_sync_files_discovered_total": 3,
        "mixsync_sync_files_synced_total": 2,
        "mixsync_sync_synced_bytes_total": 14,
        "mixsync_sync_runs_total": 1,
        "mixsync_sync_batches_created_total": 1,
        "mixsync_sync_dead_letters_waiting": 1,
        "mixsync_sync_dead_letters_quarantined": 0,
        "mixsync_sync_lag_seconds": 0,
        "mixsync_sync_consecutive_failures": 0,
        "mixsync_sync_paused": 0,
        "mixsync_sync_last_run_rate_limit_hits": 0,
    }
    assert {name: told[name, "films"] for name in wanted} == wanted
    assert told["mixsync_sync_seconds_since_success", "films"] > 0
    assert told["mixsync_sync_last_run_duration_seconds", "films"] > 0
    assert ("mixsync_sync_lock_age_seconds", "films") not in told


def test_numbers_need_an_admins_key_and_are_those_of_its_namespace(estate):
    assert Client(estate.url)("GET", "/metrics").status_code == 401
    assert estate.with_key("alpha", "editor")("GET", "/metrics").status_code == 403
    assert "films" not in estate.with_key("gamma")("GET", "/metrics").text


def test_requests_are_counted_by_path_and_not_by_guess(ask):
    for number in range(3):
        ask("GET", f"/v1/buckets/bkt_{number}")
        ask("GET", f"/guess/{number}")
    ask("BREW", "/guess")
    text = ask("GET", "/metrics").text
    assert "BREW" not in text
    assert 'mixsync_api_requests_total{method="GET",path="/v1/buckets/{bucket_id}",status="404"} 3.0' in text
    assert 'path="other",status="404"} 3.0' in text
    assert "guess" not in text
