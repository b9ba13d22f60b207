import pytest


@pytest.fixture
def failed(live, mixsync):
    """A sync with one dead letter, whose id this is."""
    live(required="true")
    assert mixsync("run", "live").status == 3
    [letter] = mixsync("dlq", "live", "--json").lines
    return letter["dead_letter_id"]


def test_failed_items_are_listed_with_their_reason(failed, mixsync):
    [letter] = mixsync("dlq", "live", "list", "--json").lines
    assert (letter["source_path"], letter["state"], letter["error_type"]) == (
        "other/c.txt",
        "waiting",
        "schema_mismatch",
    )
    table = mixsync("dlq", "live").out
    assert "other/c.txt" in table
    assert failed in table
    assert mixsync("dlq", "live", "--error-type", "archived", "--json").out == ""


def test_an_unknown_state_of_dead_letters_is_refused(media, mixsync):
    done = mixsync("dlq", "videos", "--state", "lost")
    assert (done.status, done.err) == (
        2,
        "mixsync: --state: lost is not accepted; give one of waiting, quarantined, resolved, discarded.\n",
    )


def test_discarded_and_requeued_by_id(failed, mixsync):
    done = mixsync("dlq", "live", "discard", failed, "--reason", "a draft")
    assert done.out == "1 dead letter of sync live discarded.\n"
    assert mixsync("dlq", "live").out == "Sync live has no dead letters.\n"
    [letter] = mixsync("dlq", "live", "--state", "discarded", "--json").lines
    assert letter["error_message"].startswith("discarded (a draft): required field owner")
    assert mixsync("run", "live").status == 0
    done = mixsync("dlq", "live", "requeue", failed)
    assert done.out == "1 dead letter of sync live requeued. The next run tries the items again.\n"
    assert mixsync("run", "live").status == 3


def test_requeued_by_filter_with_the_count_as_json(failed, mixsync):
    assert mixsync("dlq", "live", "requeue", "--all", "--json").lines[0]["requeued"] == 0
    assert mixsync("dlq", "live", "requeue", "--state", "waiting", "--json").lines[0]["requeued"] == 1
    discarded = mixsync("dlq", "live", "discard", "--error-type", "schema_mismatch", "--reason", "old", "--json")
    assert discarded.lines[0]["discarded"] == 1


def test_requeueing_tells_of_a_sync_that_does_not_run(failed, mixsync):
    mixsync("pause", "live")
    assert mixsync("dlq", "live", "requeue", failed).out.endswith(
        "The sync does not run by itself now; `mixsync resume live` lets it run again; `mixsync run live` tries the "
        "items again.\n"
    )


def test_an_id_that_is_none_is_told(failed, mixsync):
    done = mixsync("dlq", "live", "requeue", failed, "dlq_absent")
    assert (done.status, done.err) == (
        1,
        "mixsync: 1 of the ids name no dead letter of sync live that can be requeued.\n",
    )
    assert done.out.startswith("1 dead letter of sync live requeued.")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("requeue",), "ID: nothing is not accepted; give ids, or --error-type, --state or --all."),
        (("requeue", "x", "--all"), "ID: x is not accepted; give either ids, or --error-type, --state or --all."),
        (
            ("requeue", "--state", "resolved"),
            "--state: resolved is not accepted; give one of waiting, quarantined, disc",
        ),
        (("discard", "--all"), "--reason: nothing is not accepted; give why these items are to be left alone."),
        (("requeue", "--all", "--reason", "x"), "--reason: x is not accepted; give a reason for discard only."),
        (("list", "x"), "ID: x is not accepted; give ids to requeue or discard only"),
        (("burn", "--all"), "Invalid value for '[list|requeue|discard]'"),
    ],
)
def test_what_is_vague_is_refused(media, mixsync, arguments, sentence):
    done = mixsync("dlq", "videos", *arguments)
    assert done.status == 2
    assert sentence in done.err
