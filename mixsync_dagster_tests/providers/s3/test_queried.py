"""Tigris's filtered listings as a change feed, at a simulated Tigris before a real server."""

import json
import socket
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.model.items import items_of
from mixsync_dagster.ports.provider import ChangeFeed, Probe
from mixsync_dagster.providers.s3.factory import provider_of
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.contracts.provider_world import applied, fetch, listed
from mixsync_dagster_tests.support.s3_servers import ACCESS_KEY, SECRET_KEY

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WHOLE_MINUTES = 10
"""The overlap of the default settings."""


@pytest.fixture
def world(tigris_world, tigris_simulator):
    """A bucket at a service whose clock the test sets."""
    tigris_world.habits = tigris_simulator.habits
    tigris_world.simulator = tigris_simulator
    tigris_world.habits.now = START
    return tigris_world


def put(world, path, *, age=timedelta(0), content=b"x"):
    world.put(path, content)
    world.habits.modified[path] = world.habits.now - age


def later(world, minutes):
    world.habits.now += minutes * MINUTE


def told(world, after, folder=""):
    pages = list(world.provider(folder).changes(after))
    assert pages[-1].caught_up
    assert not any(page.removed for page in pages)
    return applied(pages).paths, pages[-1].cursor


def requests(world):
    return [request for request in world.simulator.requests if request.method == "GET"]


def test_a_pass_without_change_and_a_look_are_one_request_each(world):
    for number in range(12):
        put(world, f"media/{number:02d}.txt", age=60 * MINUTE)
    put(world, "media/new.txt")
    head = world.provider("media").head()
    before = len(requests(world))
    assert world.provider("media").probe(head) is Probe.NOTHING_NEW
    assert told(world, head, "media")[0] == []
    look, passed = requests(world)[before:]
    for request in (look, passed):
        assert request.headers["x-tigris-query"] == (
            'WHERE `Last-Modified` >= "2026-03-01T11:50:00Z" ORDER BY `Last-Modified`'
        )
        assert request.parameter("prefix") == "media/"
        assert request.headers["x-tigris-consistent"] == "true"
        assert "x-tigris-query" in request.headers["authorization"]


def test_what_was_put_since_is_told_and_what_was_seen_is_no_news(world):
    put(world, "old.txt", age=600 * MINUTE)
    put(world, "recent.txt", age=5 * MINUTE)
    head = world.provider().head()
    later(world, 1)
    put(world, "new.txt")
    assert world.provider().probe(head) is Probe.CHANGED
    paths, after = told(world, head)
    assert paths == ["new.txt", "recent.txt"]
    assert world.provider().probe(after) is Probe.NOTHING_NEW
    assert told(world, after)[0] == []


def test_an_object_that_became_visible_late_is_told_within_the_overlap(world):
    put(world, "late.txt")
    world.habits.hidden.add("late.txt")
    _, after = told(world, world.provider().head())
    later(world, WHOLE_MINUTES - 1)
    _, after = told(world, after)
    world.habits.hidden.clear()
    assert told(world, after)[0] == ["late.txt"]


def test_an_object_that_became_visible_after_the_overlap_is_left_to_the_listing(world):
    put(world, "late.txt")
    world.habits.hidden.add("late.txt")
    _, after = told(world, world.provider().head())
    later(world, WHOLE_MINUTES + 1)
    _, after = told(world, after)
    world.habits.hidden.clear()
    assert told(world, after)[0] == []
    assert [item.path for item in listed(world.provider())] == ["late.txt"]


def test_a_time_in_the_future_hides_nothing(world):
    put(world, "future.txt", age=-600 * MINUTE)
    _, after = told(world, world.provider().head())
    later(world, 30)
    put(world, "new.txt")
    assert "new.txt" in told(world, after)[0]


def test_our_own_clock_does_not_matter(world):
    settings = replace(world.settings, page_keys=world.page_rows)
    ahead, behind = (provider_of(settings, SimulatedClock(START + shift)) for shift in (900 * MINUTE, -900 * MINUTE))
    head = ahead.head()
    put(world, "new.txt")
    assert applied(list(behind.changes(head))).paths == ["new.txt"]


def test_a_replaced_object_of_the_same_second_is_told(world):
    put(world, "a.txt", content=b"before")
    head = world.provider().head()
    put(world, "a.txt", content=b"after!")
    assert told(world, head)[0] == ["a.txt"]


def test_a_deleted_object_of_the_overlap_does_no_harm(world):
    put(world, "a.txt")
    put(world, "b.txt")
    head = world.provider().head()
    world.delete("a.txt")
    paths, after = told(world, head)
    assert paths == ["b.txt"]
    assert told(world, after)[0] == []


def test_a_pass_that_another_one_goes_on_with_loses_nothing(world):
    head = world.provider().head()
    for number in range(23):
        put(world, f"{number:02d}.txt", age=number % 7 * MINUTE)
    pages = list(world.provider().changes(head))
    assert [page.items.num_rows for page in pages] == [5, 5, 5, 5, 3]
    assert len({page.cursor for page in pages}) == 5
    times = [item.modified_at for page in pages for item in items_of(page.items)]
    assert all(earlier <= later for earlier, later in pairwise(times))
    rest, after = told(world, pages[2].cursor)
    assert len({*applied(pages[:3]).paths, *rest}) == 23
    assert len(rest) < 23
    assert len(told(world, after)[0]) == 23, "what another pass has told is in no digest: it is told once more"
    later(world, WHOLE_MINUTES)
    assert told(world, told(world, after)[1])[0] == []


def test_a_pass_over_a_listing_out_of_order_begins_again(world):
    head = world.provider().head()
    world.habits.ordered = False
    for number in range(12):
        put(world, f"{number:02d}.txt", age=(4 - number % 5) * MINUTE)
    pages = list(world.provider().changes(head))
    assert len(told(world, pages[1].cursor)[0]) == 12


def test_a_service_that_does_not_filter_is_listed_instead(world):
    put(world, "old.txt", age=600 * MINUTE)
    head = world.provider().head()
    world.habits.filters = False
    with pytest.raises(CursorExpired, match="does not filter"):
        told(world, head)
    assert world.provider().probe(head) is Probe.UNKNOWN


def test_a_service_that_refuses_queries_is_listed_instead(world):
    world.habits.refuses_queries = True
    head = world.provider().head()
    assert world.provider().probe(head) is Probe.UNKNOWN
    with pytest.raises(CursorExpired, match="does not filter"):
        told(world, head)


def test_what_was_written_in_another_region_is_told(world):
    head = world.provider().head()
    put(world, "far.txt")
    world.habits.elsewhere.add("far.txt")
    assert told(world, head)[0] == ["far.txt"]
    assert [item.path for item in listed(world.provider())] == ["far.txt"]


def test_a_source_path_that_names_an_object_tells_that_object_only(world):
    put(world, "media")
    put(world, "media-2")
    put(world, "media/inside.txt")
    head = world.provider("media").head()
    for path in ("media", "media-2", "media/inside.txt"):
        put(world, path, content=b"again")
    before = len(requests(world))
    assert told(world, head, "media")[0] == ["media"]
    assert len(requests(world)) == before + 1


@pytest.mark.parametrize(
    "change",
    [{"of": "other"}, {"since": "yesterday"}, {"seen": 3, "since": 3}, {"page": "x", "at": "2026-01-01T00:00:00Z"}],
)
def test_a_position_that_cannot_be_is_refused(world, change):
    head = json.dumps({**json.loads(world.provider().head()), **change})
    with pytest.raises(CursorExpired):
        told(world, head)


def test_a_listing_that_gives_a_token_twice_ends(world, monkeypatch):
    provider = world.provider()
    head = provider.head()
    for number in range(7):
        put(world, f"{number}.txt")
    asked = provider._queried
    monkeypatch.setattr(provider, "_queried", lambda prefix, since, _token: asked(prefix, since, None))
    with pytest.raises(ProviderUnavailable, match="does not advance"):
        list(provider.changes(head))


@pytest.mark.parametrize("dialect", ["aws", "minio", "r2", "wasabi", "spaces", "b2", "generic"])
def test_other_dialects_have_no_feed(dialect):
    keys = {"access_key_id": ACCESS_KEY, "secret_access_key": SECRET_KEY}
    settings = S3Settings("b", dialect=dialect, endpoint_url="http://127.0.0.1:9", **keys)
    provider = provider_of(settings, SimulatedClock())
    assert not provider.capabilities.change_feed
    assert not isinstance(provider, ChangeFeed)


def test_the_bucket_is_named_in_the_host(world, monkeypatch):
    known = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *args, **options: known(
            "127.0.0.1" if str(host).endswith(".t3.storage.test") else host, *args, **options
        ),
    )
    monkeypatch.setenv("HTTP_PROXY", world.simulator.url)
    monkeypatch.setenv("http_proxy", world.simulator.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    port = world.simulator.url.rpartition(":")[2]
    put(world, "in/../odd//name.txt", content=b"odd")
    world.settings = replace(
        world.settings, endpoint_url=f"http://t3.storage.test:{port}", addressing_style="auto", region=""
    )
    provider = world.provider()
    head = provider.head()
    put(world, "new.txt", content=b"new")
    items = applied(list(provider.changes(head))).items.values()
    assert {item.path: fetch(provider, item) for item in items} == {"in/../odd//name.txt": b"odd", "new.txt": b"new"}
    assert provider.read_attributes(next(iter(items)), frozenset({"metadata", "tag"})) == {"metadata": {}, "tag": {}}
    for request in world.simulator.requests:
        assert request.headers["host"] == f"{world.bucket.name}.t3.storage.test:{port}"
        assert "/auto/s3/aws4_request" in request.headers["authorization"]
