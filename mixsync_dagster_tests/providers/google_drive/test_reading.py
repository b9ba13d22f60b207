"""Bytes: exactly the listed version, whole; documents by their export, also where it is too large for one answer."""

import gc

import pytest

from mixsync_dagster.errors import (
    AccessDenied,
    ItemChanged,
    ItemCorrupt,
    ItemUnreadable,
    ItemVanished,
    ProviderUnavailable,
    RateLimited,
)
from mixsync_dagster.testing.contracts.provider import fetch
from mixsync_dagster.testing.drive_simulator import MY_DRIVE
from mixsync_dagster_tests.providers.google_drive.conftest import items

DOCX = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document\n"
DOCUMENT = "application/vnd.google-apps.document"


@pytest.fixture
def one(world):
    """A provider and its only item."""
    world.put("a.txt", b"some content")
    provider = world.provider()
    return provider, items(provider)["a.txt"]


@pytest.fixture
def document(server, world):
    """A provider and its only item, a document."""
    file_id = server.files.add("doc", MY_DRIVE, DOCUMENT, content=b"text")
    provider = world.provider()
    return provider, items(provider)["doc.docx"], file_id


def test_a_file_is_one_request_and_what_it_carries_none(server, one):
    provider, item = one
    server.forget()
    assert fetch(provider, item) == b"some content"
    assert provider.read_attributes(item, frozenset({"drive_property"}))
    assert server.count() == server.count("files.media") == 1


def test_a_byte_that_went_wrong_is_noticed(server, one):
    server.fail("files.media", flip=True)
    with pytest.raises(ItemCorrupt):
        fetch(*one)


def test_a_body_that_ends_early_is_noticed(server, one):
    server.fail("files.media", cut=5)
    with pytest.raises(ItemCorrupt, match="ended inside"):
        fetch(*one)


def test_an_empty_answer_is_noticed(server, one):
    server.fail("files.media", empty=True)
    with pytest.raises(ItemCorrupt):
        fetch(*one)


def test_a_file_replaced_by_a_longer_one_has_changed(server, world, one):
    provider, item = one
    server.before("files.media", lambda: world.put("a.txt", b"something much longer"))
    with pytest.raises(ItemChanged):
        fetch(provider, item)


def test_a_file_put_into_the_trash_and_changed_has_vanished(server, world, one):
    provider, item = one
    world.put("a.txt", b"other conten")
    server.files.update(item.source_object_id, trashed=True)
    with pytest.raises(ItemVanished):
        fetch(provider, item)


def test_memory_stays_small_however_large_the_file_is(world):
    import tracemalloc

    world.put("large.bin", bytes(24 * 1024 * 1024))
    provider = world.provider()
    item = items(provider)["large.bin"]
    gc.collect()
    tracemalloc.start()
    received = sum(len(chunk) for chunk in provider.read(item))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert received == 24 * 1024 * 1024
    assert peak < 12 * 1024 * 1024


@pytest.mark.parametrize(
    ("reason", "error_type"),
    [
        ("cannotDownloadAbusiveFile", "abusive_file"),
        ("cannotDownloadFile", "download_forbidden"),
        ("fileNotDownloadable", "not_exportable"),
        ("downloadQuotaExceeded", "download_quota_exceeded"),
        ("insufficientFilePermissions", "access_denied"),
        ("somethingNew", "access_denied"),
    ],
)
def test_what_is_wrong_with_one_file_is_that_files_failure(server, one, reason, error_type):
    server.fail("files.media", status=403, reason=reason)
    with pytest.raises(ItemUnreadable) as caught:
        fetch(*one)
    assert (caught.value.error_type, caught.value.permanent) == (error_type, True)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"status": 403, "reason": "userRateLimitExceeded"}, RateLimited),
        ({"status": 403, "reason": "rateLimitExceeded"}, RateLimited),
        ({"status": 429, "reason": "rateLimitExceeded"}, RateLimited),
        ({"status": 403, "reason": "dailyLimitExceeded"}, RateLimited),
        ({"status": 500, "reason": "backendError"}, ProviderUnavailable),
        ({"status": 503, "reason": "backendError"}, ProviderUnavailable),
        ({"reset": True}, ProviderUnavailable),
        ({"status": 403, "reason": "accessNotConfigured"}, AccessDenied),
        ({"status": 404, "reason": "notFound"}, ItemVanished),
    ],
)
def test_what_is_wrong_with_all_of_drive_is_not_the_files_failure(server, one, fault, error):
    server.fail("files.media", **fault)
    with pytest.raises(error):
        fetch(*one)


def test_a_body_of_a_refusal_that_ends_early_is_an_outage(server, one):
    server.fail("files.media", status=403, reason="userRateLimitExceeded", cut=3)
    with pytest.raises(ProviderUnavailable):
        fetch(*one)


# Documents


def test_a_document_is_exported(document):
    provider, item, _ = document
    assert fetch(provider, item) == DOCX + b"text"


def test_a_document_in_another_format(server, world):
    server.files.add("sheet", MY_DRIVE, "application/vnd.google-apps.spreadsheet", content=b"1,2")
    provider = world.provider(export_format="text")
    assert fetch(provider, items(provider)["sheet.csv"]) == b"text/csv\n1,2"


def test_a_document_changed_before_its_export_has_changed(server, document):
    provider, item, file_id = document
    server.files.write(file_id, b"other")
    with pytest.raises(ItemChanged):
        fetch(provider, item)


def test_a_document_changed_during_its_export_has_changed(server, document):
    provider, item, file_id = document
    chunks = provider.read(item)
    assert next(chunks)
    server.files.write(file_id, b"other")
    with pytest.raises(ItemChanged):
        list(chunks)


def test_an_export_over_the_limit_is_made_in_the_background(server, world, document):
    provider, item, _ = document
    server.api.export_bytes, server.api.looks = 3, 4
    before = world.clock.monotonic()
    assert fetch(provider, item) == DOCX + b"text"
    assert (server.count("files.download"), server.count("operations.get")) == (1, 4)
    assert world.clock.monotonic() - before == 1 + 2 + 4 + 8


def test_an_export_that_drive_cannot_make_at_all_is_too_large(server, document):
    server.api.export_bytes = server.api.background_bytes = 3
    with pytest.raises(ItemUnreadable) as caught:
        fetch(*document[:2])
    assert caught.value.error_type == "export_too_large"


@pytest.mark.parametrize("operation", ["files.download", "operations.get", "exported"])
def test_an_export_that_drive_will_not_make_in_the_background_is_too_large(server, document, operation):
    server.api.export_bytes = 3
    server.fail(operation, status=400, reason="badRequest")
    with pytest.raises(ItemUnreadable) as caught:
        fetch(*document[:2])
    assert caught.value.error_type == "export_too_large"
    server.fail(operation, status=503, reason="backendError")
    with pytest.raises(ProviderUnavailable):
        fetch(*document[:2])


def test_an_export_that_takes_for_ever_is_too_large(server, document):
    server.api.export_bytes, server.api.looks = 3, 10_000
    with pytest.raises(ItemUnreadable, match="within 300 seconds") as caught:
        fetch(*document[:2])
    assert caught.value.error_type == "export_too_large"


def test_a_token_goes_to_no_address_but_googles_and_the_apis_own(server, document):
    server.api.export_bytes = 3
    server.api.address = "http://localhost:9"
    with pytest.raises(Exception, match="no token is sent"):
        fetch(*document[:2])


@pytest.mark.parametrize("reason", ["not_exportable", "shortcut_broken"])
def test_what_was_listed_as_unreadable_is_not_asked_for(server, world, reason):
    if reason == "not_exportable":
        server.files.add("form", MY_DRIVE, "application/vnd.google-apps.form")
    else:
        server.files.add_shortcut("form", MY_DRIVE, "nothing")
    provider = world.provider()
    (item,) = items(provider).values()
    server.forget()
    with pytest.raises(ItemUnreadable) as caught:
        fetch(provider, item)
    assert (caught.value.error_type, server.count()) == (reason, 0)


# Attributes


def test_properties_are_the_files_own_values_and_those_that_apps_and_people_gave_it(server, world):
    folder = world.folder("in")
    server.files.add(
        "a.txt",
        folder,
        content=b"1234",
        description="about",
        starred=True,
        properties={"both": "person", "only": "p", "size": "not this"},
        app_properties={"both": "app", "Team": "blue", "name": "not this"},
    )
    provider = world.provider()
    (item,) = items(provider).values()
    found = provider.read_attributes(item, frozenset({"drive_property", "tag"}))
    assert found.keys() == {"drive_property"}
    values = dict(found["drive_property"])
    assert values.pop("webViewLink").startswith("https://drive.google.com/")
    assert values == {
        "name": "a.txt",
        "mimeType": "text/plain",
        "description": "about",
        "starred": True,
        "trashed": False,
        "createdTime": "2026-01-01T00:00:00.000Z",
        "modifiedTime": "2026-01-01T00:00:00.000Z",
        "size": 4,
        "parents": [folder],
        "both": "app",
        "only": "p",
        "Team": "blue",
    }
    assert provider.read_attributes(item, frozenset({"tag"})) == {}


def test_a_document_tells_its_own_type_and_name(document):
    provider, item, _ = document
    values = provider.read_attributes(item, frozenset({"drive_property"}))["drive_property"]
    assert (values["mimeType"], values["name"]) == (DOCUMENT, "doc")
