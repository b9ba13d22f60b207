"""The record of who changed what, on both databases."""

from datetime import timedelta

from mixsync_dagster.control.auditing import Recorder
from mixsync_dagster.control.owners import Owner


def test_old_entries_are_forgotten(store, clock):
    recorder = Recorder(store, clock, days=10)
    for _ in range(4):
        recorder.record("pause")
        clock.advance(timedelta(days=4).total_seconds())
    recorder.record("last")
    kept = store.list_entries(limit=10)
    assert [one.operation for one in kept] == ["last", "pause", "pause"]
    assert all(clock.now() - one.at <= timedelta(days=10) for one in kept)


def test_entries_are_found_by_namespace_and_time(store, clock):
    recorder = Recorder(store, clock, days=10)
    for number, namespace in enumerate(("ns_a", "ns_b", "ns_a")):
        recorder.record(f"op{number}", owner=Owner("int_acme", namespace, "usr_a"))
        clock.advance(60)
    within = Owner("int_acme", "ns_a", "").namespace
    assert [one.operation for one in store.list_entries(within=within, limit=10)] == ["op2", "op0"]
    since = clock.now() - timedelta(seconds=120)
    assert [one.operation for one in store.list_entries(since=since, limit=10)] == ["op2", "op1"]
    assert [one.operation for one in store.list_entries(limit=1)] == ["op2"]


def test_an_entry_is_what_was_recorded(store, clock):
    Recorder(store, clock, days=10).record(
        "update_sync", "sync sync_a", key_prefix="sk_00000000", origin="api", status=409, request_id="req_1"
    )
    [entry] = store.list_entries(limit=10)
    assert (entry.at, entry.operation, entry.resource, entry.outcome) == (
        clock.now(),
        "update_sync",
        "sync sync_a",
        "refused",
    )
    assert (entry.internal_id, entry.namespace_id, entry.user_id) == ("int_local", "ns_default", "usr_local")
    assert (entry.key_prefix, entry.origin, entry.status, entry.request_id) == ("sk_00000000", "api", 409, "req_1")
    assert entry.entry_id.startswith("aud_")
