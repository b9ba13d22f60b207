"""Verifying and collecting through Dagster."""

import os
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster_tests.orchestration.test_runs import run, sentence_of


@pytest.fixture
def filled(live_home, source, instance):
    """A home whose bucket has two objects."""
    live_home.add(source_path=f"{source.name}/videos", file_filters="{extensions: [.mp4]}")
    assert run(live_home, instance).success
    return live_home


def blobs_of(home):
    return sorted(path for path in (home.path / "blobs").rglob("*") if path.is_file())


@pytest.mark.parametrize("config", [{}, {"bucket": "bkt_media"}, {"data_percent": 100.0}])
def test_a_bucket_that_is_whole_has_no_findings(filled, instance, config):
    result = run(filled, instance, config, job="verify_bucket")
    assert result.success
    (told,) = [e.event_specific_data.metadata for e in result.all_events if e.is_successful_output]
    assert (told["findings"].value, told["report"].records) == (0, [])


@pytest.mark.parametrize("config", [{}, {"bucket": "bkt_media"}])
def test_findings_fail_the_job_with_a_report_as_a_table(filled, instance, config):
    blobs_of(filled)[0].unlink()
    result = run(filled, instance, config, job="verify_bucket")
    assert not result.success
    assert sentence_of(result) == ["1 finding; the report tells what to do about each."]
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    told = failure.event_specific_data.user_failure_data.metadata
    (row,) = told["report"].records
    assert (row.data["kind"], told["findings"].value) == ("blob_missing", 1)
    assert row.data["what to do"]


def test_damaged_bytes_are_found_when_they_are_read(filled, instance):
    blob = blobs_of(filled)[0]
    blob.chmod(0o644)
    blob.write_bytes(b"x" * blob.stat().st_size)
    assert run(filled, instance, job="verify_bucket").success
    assert not run(filled, instance, {"data_percent": 100.0}, job="verify_bucket").success


def test_a_bucket_that_is_none_is_told(filled, instance):
    result = run(filled, instance, {"bucket": "bkt_medai"}, job="verify_bucket")
    assert sentence_of(result) == ["there is no bucket bkt_medai; did you mean bkt_media?"]


def test_garbage_is_collected(filled, instance):
    kept = blobs_of(filled)
    with closing(filled.mixsync.services.open_blobs()) as blobs:
        stray = Path(urlsplit(blobs.location(blobs.store([b"nobody has this"]).sha256)).path)
        blobs.make_durable()
    long_ago = (datetime.now(UTC) - timedelta(days=30)).timestamp()
    os.utime(stray, (long_ago, long_ago))
    for config, there in (({"dry_run": True}, True), ({}, False)):
        result = run(filled, instance, config, job="collect_garbage")
        assert result.success
        (told,) = [e.event_specific_data.metadata for e in result.all_events if e.is_successful_output]
        assert (told["blobs"].value, told["bytes"].value, told["dry_run"].value) == (1, 15, there)
        assert stray.exists() == there
    assert blobs_of(filled) == kept


def test_the_daily_collection_starts_the_job(home):
    schedules = {one.name: one for one in build_definitions(home.mixsync).schedules}
    assert schedules["collect_garbage_daily"].job_name == "collect_garbage"
    assert schedules["collect_garbage_daily"].cron_schedule == "30 3 * * *"
