"""Listings over a dictionary of keys that is paged as S3 pages it."""

import threading
from bisect import bisect_left, bisect_right, insort

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsync_dagster.errors import ConfigurationError, ProviderUnavailable
from mixsync_dagster.model.items import items_of
from mixsync_dagster.providers.s3.listing import PAGES_BUFFERED, PARTS_AT_ONCE, Listing, Scope
from mixsync_dagster.providers.s3.page_parser import parse_page
from mixsync_dagster.providers.s3.pages import ItemBuilder, key_of
from mixsync_dagster_tests.providers.s3.pages_made import answer, entry

WHOLE = Scope(b"", b"")


class Bucket:
    """Answers list requests over sorted keys, and remembers them."""

    def __init__(self, keys, page_keys=3):
        self.keys = sorted(keys)
        self.page_keys = page_keys
        self.asked = []
        self.before = lambda after: None
        self.lock = threading.Lock()

    def request(self, prefix, after, token, by_folder):
        position = token.encode().fromhex(token) if token else after
        with self.lock:
            self.asked.append((prefix, position, by_folder))
        self.before(position)
        keys = list(self.keys)
        start = bisect_left(keys, prefix)
        if position is not None:
            start = max(start, bisect_right(keys, position))
        rest = [key for key in keys[start:] if key.startswith(prefix)]
        if by_folder:
            folders = {key[: key.index(b"/", len(prefix)) + 1] for key in rest if b"/" in key[len(prefix) :]}
            return parse_page(answer([], prefixes=[folder.decode() for folder in sorted(folders)]))
        chosen = rest[: self.page_keys]
        more = chosen[-1].hex() if len(rest) > len(chosen) else None
        return parse_page(answer([entry(key) for key in chosen], token=more))

    def pages(self, after=None, hints=(), scope=WHOLE, ordered=True):
        return list(self.listing(scope, ordered).pages(after, hints))

    def listing(self, scope=WHOLE, ordered=True):
        return Listing(self.request, ItemBuilder("s/b/"), scope, ordered=ordered)


def paths(pages):
    return [item.path for page in pages for item in items_of(page.items)]


def spans(pages):
    return [(page.span.after, page.span.upto) for page in pages]


def collect(pages, seen):
    for page in pages:
        seen += [page]


def numbered(count, folder="k"):
    return [b"%s/%04d" % (folder.encode(), number) for number in range(count)]


def test_a_listing_is_paged_with_contiguous_spans_and_cursors():
    pages = Bucket([b"a", b"b", b"c", b"d"], page_keys=2).pages()
    assert paths(pages) == ["a", "b", "c", "d"]
    assert spans(pages) == [(None, "s/b/b"), ("s/b/b", None)]
    assert [page.cursor for page in pages] == ["b", None]


def test_one_page_costs_one_request():
    bucket = Bucket([b"a", b"b"])
    bucket.pages()
    assert bucket.asked == [(b"", None, False)]


@given(
    st.lists(st.text("ab/", min_size=1, max_size=5), max_size=30, unique=True),
    st.lists(st.text("ab/", min_size=1, max_size=5), max_size=12),
    st.none() | st.text("ab/", min_size=1, max_size=3),
    st.integers(1, 5),
)
def test_parts_give_the_items_and_the_coverage_of_a_plain_listing(keys, hints, after, page_keys):
    bucket = Bucket([key.encode() for key in keys], page_keys)
    start = None if after is None else after.encode()
    pages = bucket.pages(start, [hint.encode() for hint in hints])
    assert paths(pages) == [key for key in sorted(keys) if after is None or key > after]
    edges = spans(pages)
    assert edges[0][0] == (None if after is None else f"s/b/{after}")
    assert edges[-1][1] is None
    assert [low for low, _ in edges[1:]] == [high for _, high in edges[:-1]]
    assert [page.cursor is None for page in pages] == [False] * (len(pages) - 1) + [True]


def test_every_cursor_continues_behind_its_page():
    bucket = Bucket(numbered(20))
    pages = bucket.pages(hints=[b"k/0007", b"k/0011"])
    seen = []
    for page in pages[:-1]:
        seen += paths([page])
        rest = bucket.pages(key_of(page.cursor, b""))
        assert seen + paths(rest) == [key.decode() for key in numbered(20)]


def test_folders_are_the_parts_when_nobody_gives_hints():
    bucket = Bucket(numbered(9, "a") + numbered(9, "b") + numbered(9, "c"))
    pages = bucket.pages()
    assert len(paths(pages)) == 27
    assert paths(pages) == sorted(paths(pages))
    assert (b"", b"a/0002", True) in bucket.asked
    assert {b"b/", b"c/"} <= {after for _, after, _ in bucket.asked}


def test_keys_inserted_meanwhile_are_seen_behind_the_position_in_every_part():
    bucket = Bucket(numbered(12))
    inserted = threading.Event()

    def insert(after):
        if after == b"k/0002" and not inserted.is_set():
            inserted.set()
            insort(bucket.keys, b"k/0004x")

    bucket.before = insert
    pages = bucket.pages(hints=[b"k/0004"])
    assert [path for path in paths(pages) if path != "k/0004x"] == [key.decode() for key in numbered(12)]
    assert paths(pages) == sorted(set(paths(pages)))


def test_parts_that_wait_for_the_consumer_hold_few_pages():
    bucket = Bucket(numbered(400), page_keys=1)
    hints = [b"k/%04d" % number for number in range(20, 400, 20)]
    taken, ahead = [], []
    bucket.before = lambda _: ahead.append(len(bucket.asked) - len(taken))
    collect(bucket.listing().pages(None, hints), taken)
    assert len(taken) == 400
    # One page more a part is in the making, and one is in the consumer's hands.
    assert 1 < max(ahead) <= PARTS_AT_ONCE * (PAGES_BUFFERED + 1) + 1


def test_a_listing_given_up_ends_its_threads():
    bucket = Bucket(numbered(200), page_keys=1)
    pages = bucket.listing().pages(None, [b"k/0050", b"k/0100", b"k/0150"])
    next(pages)
    pages.close()
    for thread in threading.enumerate():
        if thread.name == "s3-listing":
            thread.join(5)
            assert not thread.is_alive()


def test_an_outage_in_one_part_comes_after_the_pages_before_it():
    bucket = Bucket(numbered(12))

    def fail(after):
        if after is not None and after >= b"k/0008":
            raise ProviderUnavailable("planted")

    bucket.before = fail
    seen = []
    with pytest.raises(ProviderUnavailable, match="planted"):
        collect(bucket.listing().pages(None, [b"k/0005"]), seen)
    assert paths(seen) == [key.decode() for key in numbered(9)]
    assert seen[-1].cursor == "k/0008"


def test_one_object_is_a_scope_of_its_own():
    bucket = Bucket([b"in/a", b"in/a.txt", b"in/a/b"])
    pages = bucket.pages(scope=Scope(b"in/", b"in/a", only=b"in/a"))
    assert paths(pages) == ["in/a"]
    assert pages[-1].cursor is None


def test_one_object_that_is_gone_is_an_empty_scope():
    pages = Bucket([b"in/a.txt"]).pages(scope=Scope(b"in/", b"in/a", only=b"in/a"))
    assert paths(pages) == []
    assert spans(pages) == [(None, None)]


def fixed(*bodies):
    answers = iter(bodies)
    return Listing(lambda *_: parse_page(next(answers)), ItemBuilder("s/b/"), WHOLE, ordered=True)


def test_an_answer_that_does_not_advance_is_an_outage():
    listing = fixed(answer([entry("a")], token="t"), answer([]), answer([entry("a")], token="u"))
    with pytest.raises(ProviderUnavailable, match="does not advance"):
        list(listing.pages(None, []))


def test_a_token_that_comes_twice_is_an_outage():
    twice = [answer([entry("b")], token="u"), answer([entry("c")], token="u")]
    with pytest.raises(ProviderUnavailable, match="twice"):
        list(fixed(answer([entry("a")], token="t"), answer([]), *twice).pages(None, []))


def test_empty_answers_in_between_are_passed_over():
    empty = [answer([], token="u"), answer([], token="v")]
    listing = fixed(answer([entry("a")], token="t"), answer([]), *empty, answer([entry("b")]))
    assert paths(listing.pages(None, [])) == ["a", "b"]


def test_a_listing_out_of_order_is_refused_where_order_was_promised():
    with pytest.raises(ConfigurationError, match="dialect"):
        list(fixed(answer([entry("b"), entry("a")])).pages(None, []))


def test_a_listing_out_of_order_is_fine_where_none_was_promised():
    answers = iter([answer([entry("d/e"), entry("d-x")], token="t"), answer([entry("c")])])
    listing = Listing(lambda *_: parse_page(next(answers)), ItemBuilder("s/b/"), WHOLE, ordered=False)
    pages = list(listing.pages(None, [b"d"]))
    assert paths(pages) == ["d/e", "d-x", "c"]
    assert {page.span for page in pages} == {None}
