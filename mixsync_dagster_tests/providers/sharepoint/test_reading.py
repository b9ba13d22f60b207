import logging
import random
import re

import pytest

from mixsync_dagster.errors import (
    ItemChanged,
    ItemCorrupt,
    ItemUnreadable,
    ItemVanished,
    ProviderUnavailable,
    RateLimited,
)
from mixsync_dagster_tests.providers.sharepoint.support import fetch, one

CONTENT = random.Random(7).randbytes(5_500_000)  # several chunks, and no pattern that the checksum cancels out


def downloads(world):
    return [request for request in world.graph.requests if request.kind == "download"]


def test_bytes_take_two_requests_and_the_token_stays_with_graph(world):
    world.put("a.bin", CONTENT)
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.forget_requests()
    assert fetch(provider, item) == CONTENT
    assert [request.kind for request in world.graph.requests] == ["item", "download"]
    assert "authorization" not in downloads(world)[0].headers


def test_an_address_is_fetched_for_every_attempt(world):
    world.put("a.bin", b"content")
    provider = world.provider()
    item = one(provider, "a.bin")
    assert fetch(provider, item) == b"content"
    world.graph.end_download_addresses()
    assert fetch(provider, item) == b"content"
    assert world.graph.count("download") == 2


def test_an_address_that_ends_before_it_is_used_is_asked_for_again_once(world):
    world.put("a.bin", b"content")
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.faults.add("download", before=world.graph.end_download_addresses)
    assert fetch(provider, item) == b"content"
    assert world.graph.count("download") == 2
    world.graph.faults.add("download", status=401, times=None)
    with pytest.raises(ItemUnreadable) as caught:
        fetch(provider, item)
    assert caught.value.error_type == "access_denied"


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_ends_early_is_gone_on_with(world, ranges):
    world.graph.faults.ranges = ranges
    world.put("a.bin", CONTENT)
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.faults.add("download", cut_at=2_500_000)
    assert fetch(provider, item) == CONTENT
    first, second = downloads(world)
    assert "range" not in first.headers
    asked = re.fullmatch(r"bytes=(\d+)-", second.headers["range"])
    assert 2_000_000 < int(asked[1]) < 2_500_000
    assert [request.kind for request in world.graph.requests][-4:] == ["item", "download", "item", "download"]


def test_an_empty_file_is_not_fetched(world):
    world.put("a.bin", b"")
    provider = world.provider()
    assert fetch(provider, one(provider, "a.bin")) == b""
    assert world.graph.count("download") == 0


def test_a_connection_that_ends_again_and_again_is_given_up(world):
    world.put("a.bin", CONTENT)
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.faults.add("download", cut_at=1_200_000, times=None)
    with pytest.raises(ItemCorrupt, match="connection ended"):
        fetch(provider, item)
    assert world.graph.count("download") <= 4


def test_a_file_that_changes_while_its_connection_is_gone_is_not_mixed(world):
    world.put("a.bin", CONTENT)
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.faults.add("download", cut_at=2_500_000)
    chunks = provider.read(item)
    next(chunks)
    world.put("a.bin", CONTENT[::-1])
    with pytest.raises(ItemChanged):
        list(chunks)


def test_a_file_that_changes_between_its_entry_and_its_bytes_is_not_taken(world):
    world.put("a.bin", b"before")
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.faults.add("download", before=lambda: world.put("a.bin", b"after!"))
    with pytest.raises(ItemChanged):
        fetch(provider, item)


def test_a_file_that_is_deleted_between_its_entry_and_its_bytes_has_vanished(world):
    world.put("a.bin", b"before")
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.faults.add("download", before=lambda: world.delete("a.bin"))
    with pytest.raises(ItemVanished):
        fetch(provider, item)


def test_a_wrong_byte_is_found_by_the_checksum(world):
    world.put("a.bin", b"content")
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.faults.add("download", flip_at=3)
    with pytest.raises(ItemCorrupt, match="checksum"):
        fetch(provider, item)


def test_a_size_that_is_told_wrongly_does_not_matter_beside_a_checksum(world):
    world.drive.put("a.docx", b"content", size=99)
    provider = world.provider()
    assert fetch(provider, one(provider, "a.docx")) == b"content"


def test_an_office_file_whose_checksum_is_wrong_is_taken_when_two_readings_agree(world, caplog):
    world.drive.put("a.docx", b"content", bytes=b"content with columns written into it")
    provider = world.provider()
    item = one(provider, "a.docx")
    with caplog.at_level(logging.WARNING):
        assert fetch(provider, item) == b"content with columns written into it"
    assert "another checksum" in caplog.text
    assert "tempauth" not in caplog.text


def test_an_office_file_that_is_read_differently_each_time_is_corrupt(world):
    world.put("a.docx", b"content")
    provider = world.provider()
    item = one(provider, "a.docx")
    world.graph.faults.add("download", flip_at=3)
    with pytest.raises(ItemCorrupt):
        fetch(provider, item)


def test_without_a_checksum_the_size_is_checked_and_the_version_after_the_bytes(world):
    world.drive.put("a.bin", b"content", quickXorHash=None, size=99)
    provider = world.provider()
    with pytest.raises(ItemCorrupt, match="99 bytes"):
        fetch(provider, one(provider, "a.bin"))
    world.drive.put("b.bin", b"before", quickXorHash=None)
    item = one(provider, "b.bin")
    world.graph.faults.add("download", before=lambda: world.drive.put("b.bin", b"after!", quickXorHash=None))
    with pytest.raises(ItemChanged):
        fetch(provider, item)


def test_an_entry_without_an_address_is_read_by_where_its_content_redirects(world):
    world.graph.faults.download_urls = False
    world.put("a.bin", b"content")
    provider = world.provider()
    assert fetch(provider, one(provider, "a.bin")) == b"content"
    assert "authorization" not in downloads(world)[0].headers


@pytest.mark.parametrize(
    ("kind", "fault", "error"),
    [
        ("item", {"status": 404, "code": "itemNotFound"}, ItemVanished),
        ("item", {"status": 403, "code": "accessDenied"}, ItemUnreadable),
        ("item", {"status": 423, "code": "resourceLocked"}, ItemUnreadable),
        ("item", {"status": 429, "headers": {"Retry-After": "9"}}, RateLimited),
        ("item", {"status": 502}, ProviderUnavailable),
        ("item", {"body": b""}, ProviderUnavailable),
        ("download", {"status": 429, "headers": {"Retry-After": "9"}}, RateLimited),
        ("download", {"status": 503}, ProviderUnavailable),
        ("download", {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}}, ProviderUnavailable),
        ("download", {"status": 416}, ItemChanged),
    ],
)
def test_refusals_of_a_file_become_errors_of_it(world, kind, fault, error):
    world.put("a.bin", b"content")
    provider = world.provider()
    item = one(provider, "a.bin")
    world.graph.faults.add(kind, **fault)
    with pytest.raises(error) as caught:
        fetch(provider, item)
    assert "tempauth" not in str(caught.value)


def test_infected_files_are_not_fetched(world):
    world.put("a.bin", b"content")
    provider = world.provider()
    item = one(provider, "a.bin")
    world.drive.put("a.bin", b"content", malware=True)
    with pytest.raises(ItemUnreadable) as caught:
        fetch(provider, item)
    assert caught.value.error_type == "malware"
    assert world.graph.count("download") == 0


def test_an_item_is_read_by_a_provider_that_has_listed_nothing(world):
    world.put("a.bin", b"content")
    item = one(world.provider(), "a.bin")
    world.graph.forget_requests()
    assert fetch(world.provider(), item) == b"content"
    assert world.graph.count("site", "drive") == 0


def test_columns_are_read_by_their_internal_names_in_one_request(world):
    columns = {"Team_x0020_Name": "Legal", "Due": "2026-01-01T00:00:00Z", "Pages": 7, "Tags": ["a", "b"], "Final": True}
    world.drive.put("a.docx", b"content", columns=columns)
    provider = world.provider()
    item = one(provider, "a.docx")
    world.graph.forget_requests()
    assert provider.read_attributes(item, frozenset({"sharepoint_column", "tag"})) == {"sharepoint_column": columns}
    assert world.graph.count() == 1
    assert provider.read_attributes(item, frozenset({"tag"})) == {}


def test_columns_of_another_version_are_not_taken(world):
    world.put("a.docx", b"before")
    provider = world.provider()
    item = one(provider, "a.docx")
    world.put("a.docx", b"after!")
    with pytest.raises(ItemChanged):
        provider.read_attributes(item, frozenset({"sharepoint_column"}))
    world.delete("a.docx")
    with pytest.raises(ItemVanished):
        provider.read_attributes(item, frozenset({"sharepoint_column"}))
