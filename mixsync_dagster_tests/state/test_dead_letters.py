"""What one more failure makes of a dead letter."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mixsync_dagster.state.dead_letters import after_failure, dead_letter_id_for
from mixsync_dagster.testing.contracts.state_samples import failure

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def fail(known, version="v1", *, permanent=False, now=LATER):
    return after_failure(
        known, failure("a", version, permanent=permanent), sync_config_id="s", sync_run_id="run-2", now=now
    )


FIRST = fail(None, now=NOW)


@pytest.mark.parametrize(
    ("state", "retries", "version", "permanent", "expected"),
    [
        ("waiting", 0, "v1", False, ("waiting", 0)),
        ("waiting", 2, "v1", False, ("waiting", 2)),
        ("waiting", 3, "v1", False, ("quarantined", 3)),
        ("waiting", 9, "v1", False, ("quarantined", 9)),
        ("waiting", 3, "v2", False, ("waiting", 0)),
        ("waiting", 1, "v1", True, ("quarantined", 1)),
        ("waiting", 1, "v2", True, ("quarantined", 0)),
        ("quarantined", 0, "v1", False, ("quarantined", 0)),
        ("quarantined", 3, "v2", False, ("waiting", 0)),
        ("resolved", 3, "v1", False, ("waiting", 0)),
        ("discarded", 3, "v1", False, ("discarded", 3)),
        ("discarded", 3, "v1", True, ("discarded", 3)),
        ("discarded", 3, "v2", False, ("waiting", 0)),
        ("discarded", 3, "v2", True, ("quarantined", 0)),
    ],
)
def test_the_state_after_one_more_failure(state, retries, version, permanent, expected):
    known = replace(FIRST, state=state, retry_count=retries)
    letter = fail(known, version, permanent=permanent)
    assert (letter.state, letter.retry_count) == expected


def test_the_first_sight_is_kept_while_the_letter_is_open():
    assert fail(FIRST).first_seen_at == NOW
    assert fail(FIRST, "v2").first_seen_at == NOW
    assert fail(replace(FIRST, state="resolved")).first_seen_at == LATER
    assert fail(FIRST).last_seen_at == LATER


def test_a_letter_that_fails_again_is_resolved_no_more():
    assert fail(replace(FIRST, state="resolved", resolved_at=NOW)).resolved_at is None


def test_messages_are_cut_and_always_storable():
    long = replace(failure("a"), message="x\udc80" + "y" * 5000)
    letter = after_failure(None, long, sync_config_id="s", sync_run_id="r", now=NOW)
    assert letter.error_message.startswith("x?y")
    assert len(letter.error_message) == 2000


def test_ids_tell_syncs_and_items_apart():
    ids = {dead_letter_id_for(sync, item) for sync, item in (("a", "bc"), ("ab", "c"), ("a", "b"), ("a", "bc\x00"))}
    assert len(ids) == 4


def test_items_named_by_what_is_not_unicode_have_ids_of_their_own():
    ids = {dead_letter_id_for("s", item) for item in ("a", "a\ud800", "a\udfff", "a\ufffd", "a?")}
    assert len(ids) == 5
