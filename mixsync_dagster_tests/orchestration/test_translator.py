"""Names in Dagster."""

from datetime import UTC, datetime

import dagster as dg
import pytest

from mixsync_dagster.model.syncs import SyncMode
from mixsync_dagster.orchestration.snapshot import NamedSync, Problem
from mixsync_dagster.orchestration.translator import SyncTranslator, in_words, problem_key, slug, tell_apart


def named(name="videos", **changes):
    given = {
        "sync_config_id": f"sync_{name}",
        "name": name,
        "namespace_id": "ns_default",
        "bucket_id": "bkt-media",
        "provider": "s3",
        "connection_name": "media s3",
        "source_path": "media/Some Folder/videos",
        "mode": SyncMode.CONTINUOUS,
        "interval_seconds": 60,
        "created_at": datetime(2024, 1, 1, tzinfo=UTC),
        **changes,
    }
    return NamedSync(**given)


def test_names_are_made_of_letters_digits_and_underscores():
    assert slug("My.Sync-2") == "my_sync_2"
    assert slug("--") != slug("..")
    assert slug("--").isidentifier()


def test_an_asset_is_called_after_namespace_bucket_and_sync():
    names = SyncTranslator(named("Raw.Videos"))
    assert names.asset_key == dg.AssetKey(["ns_default", "bkt_media", "raw_videos"])
    assert names.source_key == dg.AssetKey(["s3", "media", "some_folder", "videos"])
    assert (names.group, names.pool) == ("bkt_media", "connection_media_s3")


def test_the_description_says_where_from_when_and_what():
    text = SyncTranslator(named(filters="`extensions`: .mp4", description="Clips.")).asset_description
    assert text.startswith("Clips.")
    for part in ("`media/Some Folder/videos`", "every minute", ".mp4", "sync_videos"):
        assert part in text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(30, "30 seconds"), (60, "minute"), (90, "90 seconds"), (900, "15 minutes"), (3600, "hour"), (7200, "2 hours")],
)
def test_an_interval_is_told_in_the_largest_unit_that_fits(seconds, words):
    assert in_words(seconds) == words


def test_the_description_of_a_sensor_is_plain_text():
    text = SyncTranslator(named(mode=SyncMode.SCHEDULED, interval_seconds=900)).automation_description
    assert text.startswith("Runs sync videos every 15 minutes, at a fixed rhythm.")
    assert "`" not in text


def test_syncs_whose_names_collide_are_told_and_the_first_keeps_the_name():
    kept, problems = tell_apart([named("a-b"), named("a.b"), named("c")])
    assert [sync.name for sync in kept] == ["a-b", "c"]
    assert problems == [
        Problem(
            "sync a.b",
            "sync a.b has no asset and sensor of its own, for its name and `a-b` are both `a_b` in Dagster; rename one "
            "of them. It runs all the same, by the sensor mixsync_dispatcher.",
        )
    ]


def test_a_sync_called_bucket_would_take_the_name_of_our_own_job():
    kept, problems = tell_apart([named("bucket")])
    assert kept == []
    assert "`sync_bucket` is a job of its own" in problems[0].sentence


def test_a_problem_has_a_key_after_its_subject():
    assert problem_key(Problem("file a/b.yaml", "x")).to_user_string() == (
        "mixsync/configuration_problems/file_a_b_yaml"
    )
