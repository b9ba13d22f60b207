"""Every change that somebody with a key made, or was refused, is in the audit; nothing that was given is."""

import pytest

from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster_tests.api.serving import Client, connection_body, make_key
from mixsync_dagster_tests.api.test_tenants import ids_of, operations

READS = {"list", "jobs", "dlq", "plan", "explain", "report"}


def entries(services):
    return list(services.store.list_entries(limit=1000))


def test_a_change_is_recorded_with_who_made_it_and_what_it_made(services, url, source):
    ask = Client(url, make_key(services, "alpha"))
    answer = ask("POST", "/v1/connections", connection_body(source.endpoint_url), headers={"X-Request-Id": "req-of-a"})
    made = answer.json()["connection_id"]
    [entry] = entries(services)
    [key] = services.open_keys().list()
    assert (entry.operation, entry.resource, entry.outcome, entry.status, entry.origin) == (
        "create_connection",
        f"connection {made}",
        "done",
        200,
        "api",
    )
    assert (entry.internal_id, entry.namespace_id, entry.user_id) == ("int_acme", "ns_alpha", key.user_id)
    assert (entry.key_prefix, entry.request_id) == (key.prefix, "req-of-a")
    bucket = ask.done("POST", "/v1/buckets", {"bucket_name": "films"})["bucket_id"]
    body = {"connection_id": made, "source_path": "demo-media"}
    sync = ask.done("POST", f"/v1/buckets/{bucket}/syncs", body)["sync_config_id"]
    ask.done("POST", f"/v1/buckets/{bucket}/syncs/{sync}/pause")
    told = [(one.operation, one.resource) for one in entries(services)]
    assert told[:3] == [
        ("pause_sync", f"bucket {bucket} sync {sync}"),
        ("create_sync", f"bucket {bucket} sync {sync}"),
        ("create_bucket", f"bucket {bucket}"),
    ]


def test_every_operation_that_changes_something_is_recorded_once(own_estate):
    services, ask = own_estate.services, own_estate.owner
    recorded = set()
    for one in operations(services):
        before = entries(services)
        answer = ask(one.method, one.filled(ids_of(own_estate.library)), one.body)
        new = len(entries(services)) - len(before)
        changes = one.method != "GET" and one.path.rsplit("/", 1)[1] not in READS
        assert new == (1 if changes else 0), one
        if changes:
            recorded.add(entries(services)[0].operation)
            assert entries(services)[0].status == answer.status_code
    assert len(recorded) >= 15


def test_what_is_refused_is_recorded_as_refused(estate):
    path = f"/v1/connections/{estate.library.connection_id}"
    for caller, status in (
        (estate.with_key("beta", organisation="bravo"), 404),
        (estate.with_key("alpha", "editor"), 403),
        (estate.owner, 422),
    ):
        before = len(entries(estate.services))
        answer = caller("PATCH", path, {"name": ""})
        entry = entries(estate.services)[0]
        assert answer.status_code == status
        assert len(entries(estate.services)) == before + 1
        assert (entry.outcome, entry.status, entry.key_prefix) == ("refused", status, caller.key[:11])
        assert entry.resource == f"connection {estate.library.connection_id}"


def test_without_a_key_nothing_is_recorded(estate):
    before = len(entries(estate.services))
    assert Client(estate.url, "sk_nothing")("DELETE", "/v1/connections/any").status_code == 401
    assert len(entries(estate.services)) == before


def test_what_a_path_holds_is_kept_only_where_it_can_be_an_id(estate):
    estate.owner("DELETE", "/v1/connections/a%20b%0Ac")
    assert entries(estate.services)[0].resource == "connection ?"


def test_an_audit_that_cannot_be_written_does_not_undo_the_change(services, url, caplog):
    def away(*_):
        raise StoreUnavailable("the state store did not do it.")

    ask = Client(url, make_key(services, "alpha"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(services.store), "add_entry", away)
        made = ask.done("POST", "/v1/buckets", {"bucket_name": "films"})
    assert ask.done("GET", f"/v1/buckets/{made['bucket_id']}")
    assert "could not be recorded in the audit" in caplog.text


def test_each_entry_is_a_line_of_the_log_too(services, url, caplog):
    caplog.set_level("INFO", "mixsync_dagster.control.auditing")
    ask = Client(url, make_key(services, "alpha"))
    ask.done("POST", "/v1/buckets", {"bucket_name": "films"})
    [entry] = entries(services)
    [line] = [one.getMessage() for one in caplog.records if one.name == "mixsync_dagster.control.auditing"]
    assert line.startswith(f"audit {entry.entry_id}: done create_bucket of bucket bkt_")
    assert line.endswith(f"({entry.key_prefix}) in int_acme/ns_alpha, request {entry.request_id}")
