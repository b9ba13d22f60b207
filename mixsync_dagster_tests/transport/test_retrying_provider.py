from concurrent.futures import ThreadPoolExecutor

import pytest

from mixsync_dagster.errors import AccessDenied, ItemChanged, ProviderUnavailable, RateLimited
from mixsync_dagster.model.items import items_of
from mixsync_dagster.ports.provider import AttributeSource, ChangeFeed, Provider
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.memory_provider import MemoryProvider, MemoryStorage
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import RetryingProvider, _RetryingFeed, retrying


@pytest.fixture
def storage():
    storage = MemoryStorage()
    for number in range(8):
        storage.put(f"{number}.txt", b"content %d" % number)
    return storage


@pytest.fixture
def provider(storage):
    return retrying(MemoryProvider(storage), Retrier(SimulatedClock()))


def failing_every_other_time(storage, error):
    calls = []

    def before(verb, path):
        calls.append((verb, path))
        if len(calls) % 2 == 1:
            raise error

    storage.before = before


def listed(provider):
    return [item for page in provider.list_pages() for item in items_of(page.items)]


def test_a_listing_goes_on_behind_the_last_page(storage, provider):
    failing_every_other_time(storage, ProviderUnavailable("down"))
    assert [item.path for item in listed(provider)] == [f"{number}.txt" for number in range(8)]


def test_every_page_has_fresh_patience(storage):
    clock = SimulatedClock()
    failing_every_other_time(storage, RateLimited("slow down"))
    provider = retrying(MemoryProvider(storage, page_rows=1), Retrier(clock, rate_limit_attempts=2))
    assert len(listed(provider)) == 8


def test_a_read_is_repeated_before_its_first_chunk(storage, provider):
    item = listed(provider)[3]
    failing_every_other_time(storage, ProviderUnavailable("down"))
    assert b"".join(provider.read(item)) == b"content 3"


def test_a_read_that_breaks_later_is_not_repeated():
    class Breaking:
        reads = 0

        def read(self, item):
            self.reads += 1
            yield b"first"
            raise ProviderUnavailable("down")

    breaking = Breaking()
    chunks = RetryingProvider(breaking, Retrier(SimulatedClock())).read(None)
    assert next(chunks) == b"first"
    with pytest.raises(ProviderUnavailable):
        next(chunks)
    assert breaking.reads == 1


def test_a_read_given_up_closes_the_inner_one():
    closed = []

    class Endless:
        def read(self, item):
            try:
                while True:
                    yield b"chunk"
            finally:
                closed.append(True)

    chunks = RetryingProvider(Endless(), Retrier(SimulatedClock())).read(None)
    next(chunks)
    chunks.close()
    assert closed == [True]


def test_a_changed_item_is_not_repeated(storage, provider):
    item = listed(provider)[0]
    storage.put(item.path, b"new")
    before = storage.count("read")
    with pytest.raises(ItemChanged):
        list(provider.read(item))
    assert storage.count("read") == before + 1


def test_check_and_attributes_are_repeated(storage, provider):
    item = listed(provider)[0]
    failing_every_other_time(storage, ProviderUnavailable("down"))
    provider.check()
    assert provider.read_attributes(item, frozenset({"tag"})) == {"tag": {}}
    assert provider.root == ""


def test_the_wrapper_has_exactly_the_powers_of_what_it_wraps(storage):
    inner = MemoryProvider(storage)
    names = ("check", "list_pages", "read", "close", "capabilities", "root")
    plain = type("Plain", (), {name: vars(MemoryProvider)[name] for name in names})
    feeding = type("Feeding", (MemoryProvider,), {"head": None, "changes": None, "probe": None})
    pacer = Retrier(SimulatedClock())
    wrapped = retrying(inner, pacer)
    assert isinstance(wrapped, Provider)
    assert isinstance(wrapped, AttributeSource)
    assert not isinstance(wrapped, ChangeFeed)
    assert not isinstance(retrying(plain(), pacer), AttributeSource)
    both = retrying(feeding(storage), pacer)
    assert isinstance(both, AttributeSource)
    assert wrapped.capabilities == inner.capabilities


def test_a_change_feed_goes_on_behind_the_last_page():
    asked = []

    class Feed:
        def changes(self, after):
            asked.append(after)
            for number in range(int(after), 4):
                if number == 2 and len(asked) == 1:
                    raise ProviderUnavailable("down")
                yield type("Page", (), {"cursor": str(number + 1)})

    pages = list(_RetryingFeed(Feed(), Retrier(SimulatedClock())).changes("0"))
    assert [page.cursor for page in pages] == ["1", "2", "3", "4"]
    assert asked == ["0", "2"]


class Refusing(MemoryProvider):
    """A provider whose credentials are refused from some call on."""

    def __init__(self, storage, good_calls):
        super().__init__(storage, page_rows=2)
        self.good_calls = good_calls
        self.closed = 0

    def _ask(self):
        self.good_calls -= 1
        if self.good_calls < 0:
            raise AccessDenied("the key is refused.")

    def list_pages(self, after=None, *, hints=()):
        for page in super().list_pages(after, hints=hints):
            self._ask()
            yield page

    def read(self, item):
        self._ask()
        return super().read(item)

    def close(self):
        self.closed += 1


@pytest.mark.parametrize("good_calls", range(6))
def test_credentials_that_are_replaced_are_taken_from_the_next_page_or_file_on(storage, good_calls):
    old, new = Refusing(storage, good_calls), Refusing(storage, 100)
    asked = []

    def renew():
        asked.append(1)
        return new

    provider = retrying(old, Retrier(SimulatedClock()), renew)
    items = listed(provider)
    assert [item.path for item in items] == [f"{number}.txt" for number in range(8)]
    assert [b"".join(provider.read(item)) for item in items[:3]] == [b"content 0", b"content 1", b"content 2"]
    assert len(asked) == 1
    provider.close()
    assert (old.closed, new.closed) == (1, 1)


def test_credentials_that_are_refused_and_were_not_replaced_are_told(storage):
    provider = retrying(Refusing(storage, 1), Retrier(SimulatedClock()), lambda: None)
    with pytest.raises(AccessDenied, match="the key is refused"):
        listed(provider)


def test_new_credentials_that_are_refused_as_well_are_told(storage):
    renewed = iter([Refusing(storage, 0), None])
    provider = retrying(Refusing(storage, 1), Retrier(SimulatedClock()), lambda: next(renewed))
    with pytest.raises(AccessDenied, match="the key is refused"):
        listed(provider)


def test_of_many_threads_that_are_refused_one_asks_for_new_credentials(storage):
    new, asked = Refusing(storage, 100), []

    def renew():
        asked.append(1)
        return new

    provider = retrying(Refusing(storage, 0), Retrier(SimulatedClock()), renew)
    items = listed(MemoryProvider(storage))
    with ThreadPoolExecutor(8) as threads:
        contents = list(threads.map(lambda item: b"".join(provider.read(item)), items))
    assert contents == [b"content %d" % number for number in range(8)]
    assert len(asked) == 1
