"""Whole runs into a bucket at the service: what they ask for, what is checked first, and what is seen afterwards."""

import sys

import dagster as dg
import pytest

from mixsync_dagster.errors import BucketDenied, ConfigurationError, InvalidInput
from mixsync_dagster.orchestration.processing import batch_processing
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster_tests.buckets.mixpeek.homes import BUCKET, SYNC, hosted_home

TEXT, PICTURE = {"content": {"type": "text"}}, {"content": {"type": "image"}, "team": {"type": "string"}}


@pytest.fixture
def home(service, tmp_path):
    with hosted_home(tmp_path, service) as home:
        yield home


def blob(**more):
    return {"target_type": "blob", "source": {"type": "file"}, **more}


def calls(service):
    """Return how many calls of each kind came since the last look."""
    kinds = {one.kind for one in service.exchanges} - {"upload_put"}
    found = {kind: service.count(kind) for kind in sorted(kinds)}
    service.forget_exchanges()
    return found


def filled(home, count, ending, generation=1):
    for number in range(count):
        home.storage.put(f"{number:04}{ending}", b"%d of generation %d" % (number, generation))


NEW_TEXT = {"bucket_get": 1, "object_list": 1, "object_batch": 10, "batch_create": 10, "batch_submit": 10}
NEW_PICTURES = {**NEW_TEXT, "upload_batch": 10, "upload_confirm_batch": 10}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [(".txt", TEXT, NEW_TEXT, 40), (".png", PICTURE, NEW_PICTURES, 60)], ids=lambda c: c[0]
)
def test_calls_per_thousand_small_files(home, service, capsys, case):
    ending, schema, new, most = case
    service.add_bucket(BUCKET, schema)
    home.apply()
    filled(home, 1000, ending)
    assert home.run().counters.created == 1000
    made = {"new": calls(service)}
    assert home.run().counters.unchanged == 1000
    made["unchanged"] = calls(service)
    filled(home, 1000, ending, generation=2)
    assert home.run().counters.replaced == 1000
    made["replaced"] = calls(service)
    lines = [f"  {what}: {sum(counts.values())} {counts}" for what, counts in made.items()]
    with capsys.disabled():
        sys.stdout.write("\n".join([f"\ncalls for 1,000 small {ending} files:", *lines, ""]))
    assert made["unchanged"] == {}
    assert sum(made["new"].values()) <= most
    # A put may begin before all of its thousand files are there, which makes a call more of some kinds.
    assert all(made["new"][kind] <= count + 2 for kind, count in new.items())
    # The API deletes objects one by one.
    assert made["replaced"].pop("object_delete") == 1000
    assert sum(made["replaced"].values()) <= most


def test_the_mapping_is_held_against_the_schema_there_before_anything_is_stored(home, service):
    service.add_bucket(BUCKET, PICTURE)
    with pytest.raises(InvalidInput) as refused:
        home.apply(check=True, schema_mapping={"mappings": {"film": blob(blob_type="video")}})
    told = str(refused.value)
    assert (
        "definitions.yaml:1: syncs.everything.schema_mapping.mappings.film.blob_property: film is not accepted" in told
    )
    assert "the schema of bucket bkt_media has no blob of that name; give one of content" in told
    assert home.services.store.list_syncs() == []
    home.apply(check=True)
    service.forget_exchanges()
    home.apply(check=True)
    assert service.count() == 0


def test_a_bucket_with_objects_stays_where_they_are(home, service):
    service.add_bucket(BUCKET, PICTURE)
    home.apply()
    home.storage.put("a.png", b"a")
    home.run()
    embedded = {**home.definitions(), "buckets": {BUCKET: None}}
    home.definitions = lambda: embedded
    with pytest.raises(InvalidInput, match="destination cannot be changed from mixpeek to embedded while the bucket"):
        home.apply()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda service: service.buckets.clear(), "no bucket bkt_media in the namespace ns_simulated"),
        (lambda service: setattr(service, "api_key", "sk_other"), "refuses the API key of this bucket"),
        (lambda service: service.close(), "cannot be reached or does not answer"),
    ],
)
def test_a_bucket_that_cannot_be_reached_is_told_at_its_line_when_it_is_applied(home, service, spoil, sentence):
    service.add_bucket(BUCKET, TEXT)
    spoil(service)
    with pytest.raises(
        InvalidInput, match=r"definitions\.yaml:1: buckets\.bkt_media did not pass its test: "
    ) as refused:
        home.apply(check=True)
    assert sentence in str(refused.value)
    assert "sk_" not in str(refused.value)


def test_a_run_takes_no_byte_that_the_schema_has_no_place_for(home, service):
    service.add_bucket(BUCKET, {"picture": {"type": "image"}})
    home.apply()
    home.storage.put("a.png", b"a")
    with pytest.raises(ConfigurationError, match=r"as the service has it: syncs\.everything\.schema_mapping"):
        home.run()
    assert home.storage.reads["a.png"] == 0


def test_a_refused_key_pauses_the_sync_with_a_sentence(home, service):
    service.add_bucket(BUCKET, TEXT)
    home.apply()
    home.storage.put("a.txt", b"a")
    service.api_key = "sk_other"
    with pytest.raises(BucketDenied):
        home.run()
    sync = home.services.store.get_sync(SYNC)
    assert (sync.paused, sync.pause_reason) == (True, "credential")
    assert "set another key, then resume the sync" in sync.last_error


def test_one_bad_object_is_a_dead_letter_and_the_others_are_there(home, service):
    service.add_bucket(BUCKET, {**PICTURE, "team": {"type": "string"}})
    home.apply()
    for name in ("a.png", "b.png", "c.bin"):
        home.storage.put(name, name.encode())
    service.faults.refused_objects = lambda body: "no" if body["mixsync_source"].endswith("b.png") else None
    record = home.run()
    assert (record.counters.created, record.counters.failed) == (1, 2)
    letters = home.services.store.list_dead_letters(home.services.store.get_sync(SYNC).sync_config_id)
    assert {(one.source_path, one.error_type) for one in letters} == {
        ("b.png", "validation_error"),
        ("c.bin", "validation_error"),
    }


def test_what_is_in_the_bucket_is_listed_and_read_by_the_usual_commands(home, service):
    there = service.add_bucket(BUCKET, PICTURE)
    home.apply()
    home.storage.put("folder/a.png", b"a")
    home.run()
    [stored] = home.services.store.list_objects(BUCKET)
    assert (stored.source_path, [one.size_bytes for one in stored.blobs]) == ("folder/a.png", [1])
    [batch] = home.services.store.list_batches(BUCKET)
    assert (batch.state, batch.remote_batch_id) == ("submitted", next(iter(there.batches)))
    bucket = home.services.bucket_for(BUCKET)
    assert b"".join(bucket.open_blob(stored.blobs[0].sha256)) == b"a"
    bucket.close()


def test_the_sensor_follows_batches_to_their_end_and_shows_it_at_the_asset(home, service):
    service.add_bucket(BUCKET, PICTURE)
    service.faults.batch_seconds = 3600
    home.apply()
    home.storage.put("a.png", b"a")
    home.run()
    sync = home.services.store.get_sync(SYNC)
    sensor = batch_processing({sync.sync_config_id: dg.AssetKey("everything")})
    mixsync = MixsyncServices(home=str(home.services.settings.home))

    def tick():
        with dg.build_sensor_context(resources={"mixsync": mixsync}) as context:
            return sensor.evaluate_tick(context)

    assert tick().skip_message == "1 batches were asked about, of which 0 have ended."
    assert [one.task_status for one in home.services.store.list_batches(BUCKET)] == ["PENDING"]
    assert tick().skip_message == "No batch is to be asked about now."
    service.advance(3600)
    home.services.clock.sleep(1.1)
    ended = tick()
    assert ended.skip_message == "1 batches were asked about, of which 1 have ended."
    [observation] = ended.asset_events
    assert observation.asset_key == dg.AssetKey("everything")
    assert {name: value.value for name, value in observation.metadata.items()} == {"batches_completed": 1}
    assert [one.task_status for one in home.services.store.list_batches(BUCKET)] == ["COMPLETED"]
