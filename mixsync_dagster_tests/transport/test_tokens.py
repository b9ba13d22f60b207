import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.transport.tokens import Kept, KeptTokens, Shelf, Slot, Token, authorized, key_of


class Service:
    """Gives out numbered tokens of an hour."""

    def __init__(self, clock):
        self.clock = clock
        self.fetched = 0
        self.down = False

    def fetch(self):
        if self.down:
            raise ProviderUnavailable("down")
        self.fetched += 1
        return Token.lasting(f"token-{self.fetched}", 3600, self.clock)


@pytest.fixture
def clock():
    return SimulatedClock()


@pytest.fixture
def service(clock):
    return Service(clock)


def test_a_token_is_kept_until_five_minutes_before_its_end(clock, service):
    tokens = KeptTokens(service.fetch, clock)
    assert [tokens.current(), tokens.current()] == ["token-1", "token-1"]
    clock.advance(3600 - 301)
    assert tokens.current() == "token-1"
    clock.advance(2)
    assert tokens.current() == "token-2"


def test_a_short_token_is_kept_for_half_of_its_time(clock):
    token = Token.lasting("short", 60, clock)
    assert token.renew_at - clock.monotonic() == 30


def test_those_who_share_a_slot_fetch_once(clock, service):
    slot = Slot()
    first, second = (KeptTokens(service.fetch, clock, slot) for _ in range(2))
    assert first.current() == second.current() == "token-1"
    assert first.renewed("token-1") == "token-2"
    assert second.renewed("token-1") == "token-2", "somebody has renewed it already"
    assert service.fetched == 2


def test_many_threads_fetch_once(clock):
    arrived = threading.Barrier(8)
    fetched = []

    def fetch():
        fetched.append(1)
        return Token.lasting("one", 3600, clock)

    tokens = KeptTokens(fetch, clock)

    def ask(_):
        arrived.wait()
        return tokens.current()

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(ask, range(8))) == {"one"}
    assert len(fetched) == 1


def test_a_failed_renewal_leaves_nothing_that_was_refused(clock, service):
    tokens = KeptTokens(service.fetch, clock)
    tokens.current()
    service.down = True
    with pytest.raises(ProviderUnavailable):
        tokens.renewed("token-1")
    service.down = False
    assert tokens.current() == "token-2"


def test_a_value_that_is_stale_is_not_taken_for_another_than_the_refused_one():
    values = iter("abc")
    kept = Kept(lambda: next(values), fresh=lambda value: value != "a")
    assert kept.other_than(lambda value: value == "x") == "a"
    assert kept.other_than(lambda value: value == "x") == "b"


def test_keys_tell_connections_and_everything_that_was_given_apart():
    keys = {
        key_of("c1", "id", "secret"),
        key_of("c2", "id", "secret"),
        key_of(None, "id", "secret"),
        key_of("c1", "id", "other"),
        key_of("c1", "ids", "ecret"),
        key_of("c1", "id", None),
        key_of("c1", "id", "None"),
        key_of("c1", "id"),
    }
    assert len(keys) == 8
    assert key_of("c1", {"a": 1}) == key_of("c1", {"a": 1})
    assert "secret" not in key_of("c1", "secret")


def test_a_shelf_gives_everybody_the_same_slot_and_forgets_the_oldest():
    shelf = Shelf(most=2)
    first, second = shelf.slot("a"), shelf.slot("b")
    assert shelf.slot("a") is first
    shelf.slot("c")
    assert shelf.slot("a") is first
    assert shelf.slot("b") is not second
    shelf.clear()
    assert shelf.slot("a") is not first


def test_a_token_is_not_shown():
    assert "CANARY" not in repr(Token("CANARY", 0.0))


@pytest.mark.parametrize(("statuses", "sent"), [([200], 1), ([403], 1), ([401, 200], 2), ([401, 401], 2)])
def test_a_request_is_made_once_more_with_another_token(clock, service, statuses, sent):
    closed, seen = [], []
    left = iter(statuses)

    def send(token):
        seen.append(token)
        return SimpleNamespace(status=next(left), close=lambda: closed.append(token))

    answer = authorized(KeptTokens(service.fetch, clock), send)
    assert answer.status == statuses[-1]
    assert seen == ["token-1", "token-2"][:sent]
    assert closed == ["token-1"][: sent - 1]
