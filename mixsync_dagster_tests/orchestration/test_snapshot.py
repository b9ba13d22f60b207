"""The last good answer of the state store."""

import threading

import pytest

from mixsync_dagster.errors import ConfigurationError, StoreUnavailable
from mixsync_dagster.orchestration.snapshot import FILE_NAME, Problem, load_snapshot
from mixsync_dagster.settings import Settings
from mixsync_dagster_tests.orchestration.test_translator import named


@pytest.fixture
def settings(tmp_path):
    return Settings.load({"MIXSYNC_HOME": str(tmp_path)})


def nothing_to_apply(_settings):
    return []


def absent(_settings):
    raise ConfigurationError("there is no state store; run `mixsync init`.")


def test_what_the_store_says_is_served_and_kept(settings):
    syncs = [named("videos", filters="`extensions`: .mp4")]
    assert load_snapshot(settings, lambda _: syncs, nothing_to_apply).syncs == syncs
    assert load_snapshot(settings, absent, nothing_to_apply).syncs == syncs


def test_an_absent_store_is_a_problem_with_its_sentence(settings):
    snapshot = load_snapshot(settings, absent, nothing_to_apply)
    assert list(snapshot.syncs) == []
    assert snapshot.problems == [Problem("state store", "there is no state store; run `mixsync init`.")]


def test_an_outage_tells_that_old_knowledge_is_shown(settings):
    load_snapshot(settings, lambda _: [named()], nothing_to_apply)

    def out(_settings):
        raise StoreUnavailable("the database does not answer.")

    sentence = load_snapshot(settings, out, nothing_to_apply).problems[0].sentence
    assert sentence == "the database does not answer. 1 syncs are shown as they were known last."


def test_a_store_that_does_not_answer_is_not_waited_for(settings):
    ends = threading.Event()
    try:
        snapshot = load_snapshot(settings, lambda _: ends.wait(60) and [], nothing_to_apply, seconds=0.05)
    finally:
        ends.set()
    assert "did not answer within 0.05 seconds" in snapshot.problems[0].sentence


def test_an_unexpected_error_does_not_show_its_text(settings):
    def broken(_settings):
        raise RuntimeError("postgresql://user:hunter2@host")

    sentence = load_snapshot(settings, broken, nothing_to_apply).problems[0].sentence
    assert "RuntimeError" in sentence
    assert "hunter2" not in sentence


def test_a_spoilt_file_counts_as_none(settings):
    (settings.home / FILE_NAME).write_text('{"syncs": [{"name": 1}]}')
    assert list(load_snapshot(settings, absent, nothing_to_apply).syncs) == []


def test_problems_of_files_are_kept_beside_the_syncs(settings):
    bad = Problem("file a.yaml", "a.yaml:1: bad.")
    snapshot = load_snapshot(settings, lambda _: [named()], lambda _: [bad])
    assert snapshot.problems == [bad]
    assert len(snapshot.syncs) == 1
