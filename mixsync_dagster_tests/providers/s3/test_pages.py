from datetime import UTC, datetime

import pytest

from mixsync_dagster.errors import CursorExpired, ProviderUnavailable
from mixsync_dagster.model.items import ITEM_SCHEMA, items_of
from mixsync_dagster.providers.s3.page_parser import parse_page
from mixsync_dagster.providers.s3.pages import ItemBuilder, cursor_of, key_of
from mixsync_dagster_tests.providers.s3.pages_made import answer, entry

BUILDER = ItemBuilder("aws/bucket/")


def build(*entries, **options):
    return BUILDER.build(parse_page(answer(entries, **options)))


def test_a_row_holds_what_the_listing_tells():
    table, rejected = build(entry("in/a b.txt", 7, '"abc-2"', modified="2026-01-02T03:04:05.678Z"))
    (item,) = items_of(table)
    assert item.source_object_id == "aws/bucket/in/a b.txt"
    assert item.path == "in/a b.txt"
    assert item.version == "abc-2"
    assert item.size_bytes == 7
    assert item.modified_at == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)
    assert (item.metadata_version, item.mime_type, item.unreadable, item.native) == (None, None, None, None)
    assert table.schema.equals(ITEM_SCHEMA)
    assert rejected == ()


def test_folder_markers_are_no_items_and_keys_with_bytes_are():
    table, rejected = build(entry("d/", 0), entry("d/e", 0), entry("full/", 3))
    assert table["path"].to_pylist() == ["d/e", "full/"]
    assert rejected == ()


@pytest.mark.parametrize(
    ("storage_class", "unreadable"),
    [("GLACIER", "archived"), ("DEEP_ARCHIVE", "archived"), ("GLACIER_IR", None), ("STANDARD_IA", None)],
)
def test_archived_objects_are_marked(storage_class, unreadable):
    table, _ = build(entry("a", storage_class=storage_class), entry("b"))
    assert table["unreadable"].to_pylist() == [unreadable, None]


def test_keys_that_are_no_unicode_are_rejected_and_the_others_kept():
    table, (rejected,) = build(entry("a"), entry(b"bad\xff.txt"), entry("c"))
    assert table["path"].to_pylist() == ["a", "c"]
    assert rejected.source_object_id == "aws/bucket/bad\\xff.txt"
    assert rejected.error_type == "unsupported_name"


def test_an_object_without_an_etag_is_rejected_with_a_reason():
    table, (rejected,) = build(entry("a"), entry("b", etag=""))
    assert table["path"].to_pylist() == ["a"]
    assert rejected.path == "b"
    assert rejected.error_type == "unsupported_version"


@pytest.mark.parametrize("etag", ['"abc"', "abc", 'W/"abc"'])
@pytest.mark.parametrize("quotes", ["&quot;", "&#34;", '"'])
def test_the_version_is_the_etag_without_quotes(etag, quotes):
    table, _ = build(entry("a", etag='"xyz"'), entry("b", etag=etag), quotes=quotes)
    assert table["version"].to_pylist() == ["xyz", "abc"]


def test_a_time_that_is_none_is_unknown():
    table, _ = build(entry("a", modified="soon"), entry("b", modified="2026-01-02T03:04:05Z"))
    assert table["modified_at"].to_pylist() == [None, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)]


def test_sizes_beyond_32_bits_are_kept():
    assert build(entry("a", 5 * 2**40))[0]["size_bytes"].to_pylist() == [5_497_558_138_880]


def test_a_size_that_is_no_number_is_an_outage():
    with pytest.raises(ProviderUnavailable):
        build(entry("a", "many"))


@pytest.mark.parametrize("key", [b"a", b"a b+%25", b"\xff\x00\n", "\U0001f600".encode() * 256, b"../x", b"//"])
def test_a_cursor_is_printable_and_leads_back_to_its_key(key):
    cursor = cursor_of(key)
    assert cursor.isascii()
    assert cursor.isprintable()
    assert len(cursor) < 4096
    assert key_of(cursor, b"") == key


@pytest.mark.parametrize("cursor", ["", "a b", "\u00e9", "x" * 5000, "other/key"])
def test_a_cursor_of_another_make_or_place_is_refused(cursor):
    with pytest.raises(CursorExpired):
        key_of(cursor, b"in/")
