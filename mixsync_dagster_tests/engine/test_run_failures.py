"""Whole runs in which items fail: each fails alone, is tried again, and is put aside in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mixsync_dagster.errors import ItemChanged, ItemCorrupt, ItemUnreadable, MappingFailed, ProviderUnavailable
from mixsync_dagster.model.items import RejectedItem
from mixsync_dagster.model.progress import Counters
from mixsync_dagster.ports.provider import Page
from mixsync_dagster_tests.engine.support import OddProvider, World, mapping_of


def failing(world: World, *paths: str, error: type[Exception] = ItemCorrupt) -> None:
    """Make every read of these paths fail."""

    def before(verb: str, path: str) -> None:
        if verb == "read" and path in paths:
            raise error(f"{path} is torn.")

    world.storage.before = before


def healed(world: World) -> None:
    world.storage.before = lambda _verb, _path: None


def test_one_bad_file_never_stops_the_others(world: World) -> None:
    world.put(*"abcdefgh")
    failing(world, "c")
    record = world.run()
    assert sorted(world.contents()) == list("abdefgh")
    assert record.status == "completed_with_errors"
    assert (record.counters.created, record.counters.failed) == (7, 1)


def test_a_failing_file_becomes_a_dead_letter(world: World) -> None:
    world.storage.put("a", b"a", version="v1")
    failing(world, "a")
    world.run()
    letter = world.letters()["a"]
    assert (letter.state, letter.retry_count, letter.version) == ("waiting", 0, "v1")
    assert (letter.error_type, letter.error_message) == ("checksum_mismatch", "a is torn.")
    assert letter.sync_run_id == "run-1"


def test_a_failing_file_is_retried_three_times_and_then_quarantined(world: World) -> None:
    world.put("a", "b")
    failing(world, "a")
    seen = []
    for _ in range(6):
        counters = world.run().counters
        letter = world.letters()["a"]
        seen.append((letter.state, letter.retry_count, counters.failed, counters.quarantined))
    assert seen == [
        ("waiting", 0, 1, 0),
        ("waiting", 1, 1, 0),
        ("waiting", 2, 1, 0),
        ("quarantined", 3, 1, 0),
        ("quarantined", 3, 0, 1),
        ("quarantined", 3, 0, 1),
    ]
    assert world.reads().count("a") == 4
    assert world.sync.total_files_failed == 1


def test_a_quarantined_file_is_left_alone_until_its_version_changes(world: World) -> None:
    world.put("a")
    failing(world, "a")
    for _ in range(4):
        world.run()
    healed(world)
    assert world.run().counters.quarantined == 1
    world.storage.put("a", b"new")
    assert world.run().counters.created == 1
    assert world.contents() == {"a": b"new"}
    assert world.letters() == {}


def test_a_new_version_of_a_failing_file_has_its_own_three_retries(world: World) -> None:
    world.put("a")
    failing(world, "a")
    for _ in range(4):
        world.run()
    world.storage.put("a", b"new")
    world.run()
    letter = world.letters()["a"]
    assert (letter.state, letter.retry_count) == ("waiting", 0)


def test_a_file_that_heals_resolves_its_dead_letter(world: World) -> None:
    world.put("a")
    failing(world, "a")
    world.run()
    healed(world)
    record = world.run()
    assert (record.status, record.counters.created) == ("completed", 1)
    assert world.letters() == {}
    assert world.contents() == {"a": b"a"}


def test_a_failing_new_version_leaves_the_old_object(world: World) -> None:
    world.put("a")
    world.run()
    world.storage.put("a", b"new")
    failing(world, "a")
    world.run()
    assert world.contents() == {"a": b"a"}


def test_an_archived_file_is_quarantined_at_once(world: World) -> None:
    world.storage.put("a", b"a", unreadable="archived")
    world.put("b")
    record = world.run()
    letter = world.letters()["a"]
    assert (letter.state, letter.retry_count, letter.error_type) == ("quarantined", 0, "archived")
    assert record.counters.failed == 1
    assert world.reads() == ["b"]
    assert world.run().counters.quarantined == 1


def test_an_archived_file_is_quarantined_as_such_even_where_its_fields_are_missing(
    make_world: Callable[..., World],
) -> None:
    mapping = mapping_of(team={"source": {"type": "tag", "key": "team"}, "required": True}, content={"blob": True})
    world = make_world(schema_mapping=mapping)
    world.storage.put("a", b"a", unreadable="archived", tags={"team": "blue"})
    world.run()
    letter = world.letters()["a"]
    assert (letter.state, letter.error_type) == ("quarantined", "archived")


def test_a_file_that_may_not_be_read_is_quarantined_at_once(world: World) -> None:
    world.put("a")

    def before(verb: str, path: str) -> None:
        if verb == "read":
            raise ItemUnreadable("a may not be read.", error_type="access_denied")

    world.storage.before = before
    world.run()
    letter = world.letters()["a"]
    assert (letter.state, letter.error_type) == ("quarantined", "access_denied")


def test_a_file_that_vanishes_between_listing_and_reading_is_no_failure(world: World) -> None:
    world.put("a", "b")

    def before(verb: str, path: str) -> None:
        if (verb, path) == ("read", "a"):
            del world.storage.files["a"]

    world.storage.before = before
    record = world.run()
    assert (record.status, record.counters.failed, record.counters.created) == ("completed", 0, 1)
    assert world.letters() == {}
    healed(world)
    world.run()
    assert world.contents() == {"b": b"b"}


def test_a_known_file_that_vanishes_while_it_is_replaced_is_removed_by_the_next_run(world: World) -> None:
    world.put("a", "b")
    world.run()
    world.storage.put("a", b"new")

    def before(verb: str, path: str) -> None:
        if (verb, path) == ("read", "a"):
            del world.storage.files["a"]

    world.storage.before = before
    assert world.run().status == "completed"
    assert world.contents() == {"a": b"a", "b": b"b"}
    healed(world)
    assert world.run().counters.removed == 1
    assert world.contents() == {"b": b"b"}


def test_a_file_that_changes_between_listing_and_reading_is_synced_by_the_next_run(world: World) -> None:
    world.storage.put("a", b"old")

    def before(verb: str, path: str) -> None:
        if verb == "read":
            world.storage.put("a", b"new")

    world.storage.before = before
    world.run()
    assert world.contents() == {}
    assert world.letters()["a"].error_type == "changed_while_reading"
    healed(world)
    assert world.run().counters.created == 1
    assert world.contents() == {"a": b"new"}
    assert world.letters() == {}


def test_a_file_that_changes_while_it_is_read_never_stores_torn_bytes(world: World) -> None:
    world.storage.put("a", b"old bytes")
    odd = OddProvider(world.storage)
    world.provider = odd

    def half_read(path: str) -> None:
        world.storage.put("a", b"new bytes")
        raise ItemChanged("a changed while it was read.")

    odd.half_read = half_read
    world.run()
    assert world.contents() == {}
    blobs = [path for path in (world.folder / "blobs").rglob("*") if path.is_file()]
    assert blobs == []
    odd.half_read = lambda _path: None
    world.run()
    assert world.contents() == {"a": b"new bytes"}


def test_a_read_that_is_cut_off_half_way_is_begun_again(world: World) -> None:
    world.storage.put("a", b"whole content")
    odd = OddProvider(world.storage)
    world.provider = odd
    left = [ProviderUnavailable("the connection broke.")]

    def half_read(path: str) -> None:
        if left:
            raise left.pop()

    odd.half_read = half_read
    assert world.run().status == "completed"
    assert world.contents() == {"a": b"whole content"}


def test_a_missing_required_field_is_that_items_failure_only(make_world: Callable[..., World]) -> None:
    mapping = mapping_of(team={"source": {"type": "tag", "key": "team"}, "required": True}, content={"blob": True})
    world = make_world(schema_mapping=mapping)
    world.storage.put("a", b"a")
    world.storage.put("b", b"b", tags={"team": "blue"})
    record = world.run()
    assert (record.status, record.counters.failed, record.counters.created) == ("completed_with_errors", 1, 1)
    letter = world.letters()["a"]
    assert (letter.state, letter.error_type) == ("waiting", "schema_mismatch")
    assert letter.error_message == "required field team has no value at the source."
    assert world.reads() == ["b"]
    world.storage.put("a", b"a", tags={"team": "red"})
    world.run()
    assert world.objects()["a"].fields == {"team": "red"}
    assert world.letters() == {}


@pytest.mark.parametrize("text", ["{", "[" * 2000, "NaN"])
def test_a_value_that_is_no_json_is_that_items_failure_only(make_world: Callable[..., World], text: str) -> None:
    source = {"type": "metadata", "key": "info"}
    mapping = mapping_of(info={"source": source, "transform": "json_parse"}, content={"blob": True})
    world = make_world(schema_mapping=mapping)
    world.storage.put("a", b"a", metadata={"info": text})
    world.storage.put("b", b"b", metadata={"info": '{"n": 1}'})
    assert world.run().counters.failed == 1
    assert world.letters()["a"].error_type == "validation_error"
    assert world.objects()["b"].fields == {"info": {"n": 1}}


def test_a_value_that_no_store_can_take_is_that_items_failure_only(make_world: Callable[..., World]) -> None:
    source = {"type": "metadata", "key": "info"}
    mapping = mapping_of(info={"source": source, "transform": "json_parse"}, content={"blob": True})
    world = make_world(schema_mapping=mapping)
    world.storage.put("a", b"a", metadata={"info": r'"\ud800"'})
    world.storage.put("b", b"b", metadata={"info": r'"\u0000"'})
    assert world.run().status == "completed_with_errors"
    assert world.letters()["a"].error_type == "validation_error"
    assert world.objects()["b"].fields == {"info": "\x00"}


class WithRejected(OddProvider):
    """Lists one key that cannot be a row."""

    def list_pages(self, after: Any = None, *, hints: Any = ()) -> Any:
        """Add the key to the first page."""
        for number, page in enumerate(super().list_pages(after, hints=hints)):
            if number == 0 and after is None:
                odd = RejectedItem("memory/\\xff", "\\xff", "unsupported_name", "the key is not valid Unicode.")
                yield Page(page.items, page.cursor, page.span, (odd,))
            else:
                yield page


def test_a_key_that_cannot_be_said_is_quarantined_at_once(world: World) -> None:
    world.put("a")
    world.provider = WithRejected(world.storage)
    record = world.run()
    assert (record.counters.discovered, record.counters.failed, record.counters.created) == (2, 1, 1)
    letter = world.letters()["\\xff"]
    assert (letter.state, letter.error_type) == ("quarantined", "unsupported_name")


def test_everything_that_fails_makes_a_run_that_is_still_complete(world: World) -> None:
    world.put("a", "b", "c")
    failing(world, "a", "b", "c", error=MappingFailed)
    record = world.run()
    assert record.status == "completed_with_errors"
    assert record.counters == Counters(discovered=3, failed=3)
    assert world.sync.consecutive_failures == 0


def test_no_dead_letter_is_left_of_a_file_that_is_gone(world: World) -> None:
    world.put("a", "b")
    failing(world, "a")
    world.run()
    world.storage.delete("a")
    world.run()
    assert world.letters() == {}


def test_no_dead_letter_is_left_of_a_file_that_became_what_it_was(world: World) -> None:
    world.storage.put("a", b"first")
    world.run()
    world.storage.put("a", b"second")
    failing(world, "a")
    world.run()
    assert list(world.letters()) != []
    world.storage.put("a", b"first")
    world.run()
    assert world.letters() == {}
