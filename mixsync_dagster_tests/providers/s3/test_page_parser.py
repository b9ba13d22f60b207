import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.providers.s3 import page_parser
from mixsync_dagster.providers.s3.page_parser import parse_exactly, parse_page
from mixsync_dagster_tests.providers.s3.pages_made import LAYOUTS, answer, entry

ENTRIES = st.lists(
    st.builds(
        entry,
        st.binary(min_size=1, max_size=12) | st.sampled_from([b"a+b", b"a b", b"%25", b"<&>", b"x/", b"<"]),
        st.integers(0, 2**50),
        st.sampled_from(['"abc"', "abc", '"d41d8cd98f00b204e9800998ecf8427e-3"', "", 'W/"x"']),
        st.sampled_from(["STANDARD", "GLACIER", "DEEP_ARCHIVE"]),
        st.sampled_from(["2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05Z", "yesterday"]),
    ),
    max_size=8,
)


def columns(page):
    etags = [etag.replace(b"&quot;", b'"').replace(b"&#34;", b'"') for etag in page.etags]
    return [page.keys, *map(list, (page.modified, page.sizes, page.classes)), etags, page.truncated, page.token]


@given(
    ENTRIES,
    st.sampled_from(sorted(LAYOUTS)),
    st.none() | st.text("abc+/=&<", min_size=1),
    st.tuples(st.booleans(), st.sampled_from(["", "\n  "]), st.sampled_from(["&quot;", "&#34;", '"'])),
)
def test_the_fast_way_reads_what_expat_reads(entries, layout, token, looks):
    plus, space, quotes = looks
    body = answer(entries, layout=layout, token=token, plus=plus, space=space, quotes=quotes)
    assert columns(parse_page(body)) == columns(parse_exactly(body))


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
def test_usual_layouts_are_read_by_the_fast_way(layout):
    page = page_parser._parse_fast(answer([entry("a"), entry("b c", 7)], layout=layout, token="t"))
    assert page is not None
    assert page.keys == [b"a", b"b c"]
    assert list(page.sizes) == [b"1", b"7"]
    assert page.token == "t"


def test_objects_with_and_without_checksums_are_read_by_the_fast_way():
    plain = answer([entry("a")], layout="bare").replace(b"</Size>", b"</Size><StorageClass>STANDARD</StorageClass>")
    start, end = plain.index(b"<Contents>"), plain.index(b"</Contents>") + 11
    body = answer([entry("b")], layout="aws").replace(b"<Contents>", plain[start:end] + b"<Contents>", 1)
    page = page_parser._parse_fast(body)
    assert page is not None
    assert page.keys == [b"a", b"b"]


def test_a_block_that_is_unlike_the_others_sends_the_page_to_expat():
    body = answer([entry("a"), entry("b")]).replace(b"<Contents>", b"<Contents><New/>", 1)
    assert page_parser._parse_fast(body) is None
    assert parse_page(body).keys == [b"a", b"b"]


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        (b"a%20b", b"a b"),
        (b"a+b", b"a b"),
        (b"a%2Bb", b"a+b"),
        (b"100%2525", b"100%25"),
        (b"n%0Al", b"n\nl"),
        (b"%FF", b"\xff"),
        (b"%3C%26%3E", b"<&>"),
    ],
)
def test_keys_are_decoded_as_services_encode_them(sent, key):
    body = answer([entry("KEY"), entry("z")]).replace(b"KEY", sent)
    assert parse_page(body).keys == [key, b"z"]
    assert parse_exactly(body).keys == [key, b"z"]


def test_keys_of_a_service_that_does_not_encode_are_left_alone():
    assert parse_page(answer([entry("a+b%25 & <c>")], encoded=False)).keys == [b"a+b%25 & <c>"]


def test_common_prefixes_are_read():
    assert parse_page(answer([entry("a")], prefixes=["a b/", "c/"])).prefixes == [b"a b/", b"c/"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>It works!</html>",
        answer([entry("a"), entry("b")])[:-30],
        b"<ListBucketResult><IsTruncated>false</IsTruncated><Contents></Contents></ListBucketResult>",
        b"<ListBucketResult></ListBucketResult>",
        b"<ListBucketResult><IsTruncated>false</ListBucketResult>",
    ],
)
def test_what_is_no_whole_listing_is_an_outage(body):
    with pytest.raises(ProviderUnavailable):
        parse_page(body)
