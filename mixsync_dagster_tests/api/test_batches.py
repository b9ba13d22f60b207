"""Handing batches over: once, whoever does it."""

import pytest

from mixsync_dagster_tests.api.serving import run_once


@pytest.fixture
def sealed(own_estate, monkeypatch):
    """The path of a batch that its run has sealed and did not come to hand over."""
    services, library = own_estate.services, own_estate.library
    with services.store._database.write() as tx:
        tx.run("UPDATE batches SET state = 'sealed', task_id = NULL, submitted_at = NULL")
        tx.run(
            "INSERT INTO outbox (batch_id, sync_config_id, bucket_id, attempts, created_at, position) "
            "SELECT batch_id, sync_config_id, bucket_id, 0, created_at, position FROM batches"
        )
    return f"/v1/buckets/{library.bucket_id}/batches/{library.batch_id}"


def test_a_sealed_batch_is_handed_over_once(own_estate, sealed):
    ask, services, library = own_estate.owner, own_estate.services, own_estate.library
    assert ask.done("GET", sealed)["status"] == "PENDING"
    first = ask.done("POST", f"{sealed}/submit", {"include_processing_history": True})
    assert (first["status"], first["task_type"]) == ("COMPLETED", "api_buckets_batches_process")
    assert ask.done("GET", sealed)["status"] == "COMPLETED"
    assert list(services.store.pending_submissions(library.sync_id, limit=5)) == []
    created = services.store.get_sync(library.sync_id).batches_created
    assert ask.done("POST", f"{sealed}/submit") == first
    run_once(services, library.sync_id, "run_second")
    assert services.store.get_sync(library.sync_id).batches_created == created
    assert not services.store.get_sync(library.sync_id).locked


def test_while_a_run_is_at_work_the_batch_is_left_to_it(own_estate, sealed):
    services, library = own_estate.services, own_estate.library
    lock = services.store.acquire(library.sync_id, "worker", "run_other", ttl_seconds=60)
    assert own_estate.owner.done("POST", f"{sealed}/submit")["status"] == "PENDING"
    assert len(services.store.pending_submissions(library.sync_id, limit=5)) == 1
    services.store.release(lock)
    run_once(services, library.sync_id, "run_second")
    assert own_estate.owner.done("POST", f"{sealed}/submit")["status"] == "COMPLETED"


def test_a_batch_whose_sync_is_gone_is_not_handed_over(own_estate, sealed):
    own_estate.owner.done("DELETE", own_estate.library.sync)
    answer = own_estate.owner("POST", f"{sealed}/submit")
    assert (answer.status_code, "deleted" in answer.json()["error"]["message"]) == (409, True)
    assert own_estate.owner.done("GET", sealed)["status"] == "FAILED"


def test_an_outage_leaves_the_batch_in_the_outbox(own_estate, sealed, monkeypatch):
    from mixsync_dagster.buckets.embedded import EmbeddedBucket
    from mixsync_dagster.errors import StoreUnavailable

    def outage(*_, **__):
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(EmbeddedBucket, "submit_batch", outage)
    assert own_estate.owner("POST", f"{sealed}/submit").status_code == 503
    monkeypatch.undo()
    assert not own_estate.services.store.get_sync(own_estate.library.sync_id).locked
    assert own_estate.owner.done("POST", f"{sealed}/submit")["status"] == "COMPLETED"


def test_viewers_hand_nothing_over(own_estate, sealed):
    assert own_estate.with_key("alpha", "viewer")("POST", f"{sealed}/submit").status_code == 403
