"""`verify` names every seeded corruption, and `gc` takes only what nobody has or is about to have."""

import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mixsync_dagster.control.findings import Kind
from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.control.support import applied

DAY = 24 * 60 * 60


@pytest.fixture
def filled(live, mixsync):
    """Three objects in a submitted batch."""
    live()
    assert mixsync("run", "live").status == 0


def seed(*statements):
    with Services.open() as services, services.store._database.write() as tx:
        return [tx.run(statement, *values) for statement, *values in statements]


def blob_of(content):
    with Services.open() as services:
        for stored in services.store.list_objects("bkt_live"):
            for blob in stored.blobs:
                path = services.settings.blobs_dir / blob.sha256[:2] / blob.sha256
                if path.exists() and path.read_bytes() == content:
                    return path
    raise AssertionError(content)


def kinds(done):
    assert (done.status == 1) == any(not line["information"] for line in done.lines)
    return {line["kind"] for line in done.lines if not line["information"]}


def aged(path, days):
    then = datetime.now(UTC).timestamp() - days * DAY
    os.utime(path, (then, then))


def test_a_healthy_home_has_no_findings(filled, mixsync):
    for arguments in (
        ["bkt_live"],
        ["--all"],
        ["bkt_live", "--data", "--source"],
        ["--sync", "live", "--data", "50%", "--source"],
    ):
        done = mixsync("verify", *arguments, "--json")
        assert (done.status, done.out) == (0, "")
    assert mixsync("verify", "bkt_live").out == "No findings.\n"


def test_a_home_that_never_ran_has_no_findings(live, mixsync):
    live()
    assert mixsync("verify", "--all", "--data").status == 0
    assert kinds(mixsync("verify", "bkt_live", "--source", "--json")) == {"source_create"}


def test_a_run_under_way_is_no_finding(filled, mixsync):
    with Services.open() as services:
        sync_config_id = services.store.get_sync("live").sync_config_id
        services.store.acquire(sync_config_id, "somebody", "run_a", ttl_seconds=60)
    assert mixsync("verify", "--all").status == 0


PART = """\
syncs:
  part:
    bucket_id: bkt_live
    connection_id: local-s3
    source_path: demo-media/folder
"""
ONE = "(SELECT min(object_id) FROM objects)"
ANOTHER = "(SELECT max(object_id) FROM objects)"
INTENT = "INSERT INTO intents SELECT sync_config_id, 'obj_x', 'x', 'v' FROM syncs"
LETTER = """
    INSERT INTO dead_letters (dead_letter_id, sync_config_id, source_object_id, source_path, version, state,
        retry_count, error_type, error_message, first_seen_at, last_seen_at)
    SELECT 'dlq_x', sync_config_id, source_object_id, path, version, '{state}', {retries}, 'e', 'm', 1, 2
    FROM inventory ORDER BY source_object_id LIMIT 1
"""
CORRUPTIONS = [
    ("object_missing", f"DELETE FROM objects WHERE object_id = {ONE}"),
    ("object_not_active", f"UPDATE objects SET state = 'tombstoned', tombstoned_at = 1 WHERE object_id = {ONE}"),
    ("object_of_another", f"UPDATE inventory SET object_id = {ONE} WHERE object_id = {ANOTHER}"),
    ("version_differs", f"UPDATE inventory SET version = 'older' WHERE object_id = {ONE}"),
    (
        "identity_twice",
        f"UPDATE objects SET source_object_id = (SELECT source_object_id FROM objects WHERE object_id = {ONE})",
    ),
    ("inventory_missing", f"DELETE FROM inventory WHERE object_id = {ONE}"),
    ("content_unrecorded", f"DELETE FROM contents WHERE object_id = {ONE}"),
    ("unbatched", f"DELETE FROM batch_items WHERE object_id = {ONE}"),
    ("batch_differs", f"UPDATE objects SET batch_id = 'btch_x' WHERE object_id = {ONE}"),
    ("batch_missing", "DELETE FROM batches"),
    ("batch_size", f"DELETE FROM batch_items WHERE object_id = {ONE}"),
    ("member_missing", "INSERT INTO batch_items SELECT 'obj_x', 'v', sync_config_id, NULL, 1 FROM syncs"),
    ("member_newer", f"UPDATE batch_items SET version = 'newer', added_at = added_at + 1 WHERE object_id = {ONE}"),
    ("outbox_missing", "UPDATE batches SET state = 'sealed'"),
    ("outbox_left", "INSERT INTO outbox SELECT batch_id, sync_config_id, bucket_id, 1, 1, 1 FROM batches"),
    ("intent_left", INTENT),
    (
        "lock_left",
        "UPDATE leases SET holder = 'gone', run_id = (SELECT current_sync_run_id FROM syncs)",
    ),
    ("dead_letter_state", LETTER.format(state="lost", retries=0)),
    ("dead_letter_state", LETTER.format(state="waiting", retries=4)),
    ("dead_letter_state", LETTER.format(state="resolved", retries=0)),
    ("dead_letter_open", LETTER.format(state="waiting", retries=0)),
]


@pytest.mark.parametrize(("kind", "statement"), CORRUPTIONS, ids=lambda value: value if " " not in value else "")
def test_a_corruption_of_the_state_store_is_named(filled, mixsync, kind, statement):
    assert all(seed([statement]))
    for arguments in (["bkt_live"], ["--sync", "live"], ["--all"]):
        done = mixsync("verify", *arguments, "--json")
        assert kind in kinds(done)
        told = next(line for line in done.lines if line["kind"] == kind)
        assert told["sync"] == "live"
        assert told["message"]
        assert told["action"]


def test_open_intents_of_a_run_that_did_not_complete_are_no_finding(filled, mixsync):
    seed([INTENT], ["UPDATE runs SET status = 'interrupted'"])
    assert mixsync("verify", "--all").status == 0


def test_bytes_that_are_gone_cut_or_damaged_are_named(filled, mixsync):
    gone, cut, damaged = blob_of(b"alpha"), blob_of(b"beta"), blob_of(b"gamma")
    gone.unlink()
    cut.write_bytes(b"bet")
    damaged.write_bytes(b"gamm!")
    told = {line["kind"]: line["subject"] for line in mixsync("verify", "bkt_live", "--json").lines}
    assert told == {"blob_missing": gone.name, "blob_size": cut.name}
    done = mixsync("verify", "bkt_live", "--data", "--json")
    assert kinds(done) == {"blob_missing", "blob_size", "blob_damaged"}
    shown = mixsync("verify", "bkt_live", "--data")
    assert [line.split(": ")[:2] for line in sorted(shown.out.splitlines())] == [
        ["blob_damaged", "live"],
        ["blob_missing", "live"],
        ["blob_size", "live"],
    ]
    assert shown.err == "mixsync: 3 findings.\n"


def test_a_share_of_the_bytes_is_the_same_each_time(filled, mixsync):
    paths = [blob_of(content) for content in (b"alpha", b"beta", b"gamma")]
    for path in paths:
        path.write_bytes(bytes(len(path.read_bytes())))
    share = min(int(path.name[:8], 16) for path in paths) / 16**8 * 100 + 0.001
    expected = [min(path.name for path in paths)]
    for _ in range(2):
        done = mixsync("verify", "bkt_live", "--data", f"{share}", "--json")
        assert [line["subject"] for line in done.lines] == expected


def test_a_manifest_that_is_gone_is_named(filled, home, mixsync):
    shutil.rmtree(home / "manifests")
    assert kinds(mixsync("verify", "bkt_live", "--json")) == {"manifest_missing"}


def test_bytes_that_nothing_refers_to_are_information_until_they_are_old(filled, home, mixsync):
    path = home / "blobs" / "00" / ("0" * 64)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"left")
    done = mixsync("verify", "--all", "--json")
    assert (done.status, [(line["kind"], line["information"]) for line in done.lines]) == (
        0,
        [("unreferenced_blob", True)],
    )
    assert mixsync("verify", "bkt_live", "--json").out == ""
    assert mixsync("verify", "--sync", "live", "--json").out == ""
    aged(path, 8)
    assert kinds(mixsync("verify", "--all", "--json")) == {"unreferenced_blob"}


def test_the_source_is_compared_with_the_inventory(filled, source, mixsync):
    source.put(Sample("folder/new.txt", b"new", "text/plain"))
    source.put(Sample("folder/a.txt", b"changed", "text/plain", metadata={"owner": "ana"}))
    source.delete("other/c.txt")
    try:
        assert mixsync("verify", "bkt_live").status == 0
        done = mixsync("verify", "bkt_live", "--source", "--json")
    finally:
        source.delete("folder/new.txt")
        source.put(Sample("folder/a.txt", b"alpha", "text/plain", metadata={"owner": "ana"}))
        source.put(Sample("other/c.txt", b"gamma", "text/plain"))
    assert kinds(done) == {"source_create", "source_replace", "source_remove"}
    assert "e.g. folder/new.txt" in next(line["message"] for line in done.lines if line["kind"] == "source_create")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "BUCKET"),
        (["bkt_live", "--all"], "BUCKET"),
        (["bkt_live", "--sync", "live"], "BUCKET"),
        (["bkt_alive"], "there is no bucket bkt_alive; did you mean bkt_live?"),
        (["--sync", "alive"], "there is no sync alive; did you mean live?"),
        (["bkt_live", "--data", "0"], "--data"),
        (["bkt_live", "--data", "101"], "--data"),
        (["bkt_live", "--data=nan"], "--data"),
    ],
)
def test_wrong_input_is_told_in_one_sentence(filled, mixsync, arguments, sentence):
    done = mixsync("verify", *arguments)
    assert (done.status, done.err.startswith(f"mixsync: {sentence}"), done.err.count("\n")) == (2, True, 1)


def test_every_kind_of_finding_has_a_test():
    here = Path(__file__).read_text("utf-8")
    assert [kind for kind in Kind if f'"{kind.value}"' not in here and kind is not Kind.SOURCE_MOVE] == []


def test_gc_takes_a_removed_object_and_its_bytes_after_the_grace_period(filled, home, source, mixsync):
    path = blob_of(b"gamma")
    source.delete("other/c.txt")
    try:
        assert mixsync("run", "live").status == 0
    finally:
        source.put(Sample("other/c.txt", b"gamma", "text/plain"))
    aged(path, 8)
    assert mixsync("gc", "--json").lines[0]["tombstones"] == 0
    assert path.exists()
    seed(["UPDATE objects SET tombstoned_at = tombstoned_at - ? WHERE state = 'tombstoned'", 8 * DAY * 1_000_000])
    planned = mixsync("gc", "--dry-run", "--json").lines[0]
    assert (planned["tombstones"], planned["blobs"], planned["bytes"], path.exists()) == (1, 1, 5, True)
    done = mixsync("gc", "--json").lines[0]
    assert done == {**planned, "dry_run": False}
    assert not path.exists()
    assert mixsync("verify", "--all", "--data").status == 0
    assert mixsync("gc").out == (
        "0 removed objects were forgotten; 0 blobs (0 B) were removed; 0 more blobs that no object has are too young.\n"
    )
    # The item is there again: the next run makes its object anew.
    assert mixsync("run", "live").status == 0
    assert path.read_bytes() == b"gamma"
    assert mixsync("verify", "--all", "--data", "--source").status == 0


def test_gc_keeps_young_bytes_and_those_of_active_objects(filled, home, mixsync):
    left = home / "blobs" / "00" / ("0" * 64)
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"left")
    used = blob_of(b"alpha")
    aged(used, 400)
    assert json.loads(mixsync("gc", "--json").out)["young"] == 1
    aged(left, 1.5)
    assert mixsync("gc", "--json").lines[0]["blobs"] == 1
    assert (left.exists(), used.exists()) == (False, True)


def test_gc_in_an_object_store_waits_until_no_sync_runs(filled, tmp_path, monkeypatch, mixsync):
    monkeypatch.setenv("MIXSYNC_BLOB_URL", f"file://{tmp_path}/elsewhere")
    from mixsync_dagster.buckets import blob_folder

    monkeypatch.setattr(blob_folder.BlobFolder, "removes_beside_runs", False)
    assert mixsync("gc").status == 0
    with Services.open() as services:
        sync_config_id = services.store.get_sync("live").sync_config_id
        services.store.acquire(sync_config_id, "somebody", "run_a", ttl_seconds=60)
    done = mixsync("gc")
    assert (done.status, "now runs live" in done.err) == (4, True)


def test_a_second_sync_of_the_bucket_makes_no_findings(live, home, source, mixsync):
    live()
    assert mixsync("run", "live").status == 0
    with Services.open() as services:
        applied(services, PART)
    assert mixsync("run", "part").status == 0
    assert mixsync("verify", "--all", "--data", "--source", "--json").out == ""
    assert mixsync("verify", "--sync", "part", "--json").out == ""
    assert mixsync("verify", "bkt_live", "--json").out == ""
    assert mixsync("verify", "--sync", "live", "--json").out == ""
