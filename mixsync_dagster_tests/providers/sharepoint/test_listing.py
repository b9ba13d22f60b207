import json

import pytest

from mixsync_dagster.errors import AccessDenied, ConfigurationError, CursorExpired, ProviderUnavailable, RateLimited
from mixsync_dagster.model.items import items_of
from mixsync_dagster.ports.provider import Cursor
from mixsync_dagster_tests.providers.sharepoint.support import one, paths


def test_empty_pages_do_not_end_a_listing(world):
    world.graph.faults.empty_pages = True
    expected = [f"in/{number}.txt" for number in range(12)]
    for path in expected:
        world.put(path, b"x")
    assert sorted(paths(world.provider().list_pages())) == sorted(expected)


def test_an_item_that_comes_twice_is_a_row_once_in_its_page(world):
    world.graph.faults.repeated_entries = True
    for number in range(12):
        world.put(f"{number}.txt", b"x")
    for page in world.provider().list_pages():
        found = [item.source_object_id for item in items_of(page.items)]
        assert len(found) == len(set(found))


def test_paths_are_put_together_when_files_come_before_their_folders(world):
    world.graph.faults.reversed_pages = True
    for path in ("a/b/c/d/e/deep.txt", "a/b/x.txt", "top.txt"):
        world.put(path, b"x")
    assert sorted(paths(world.provider().list_pages())) == ["a/b/c/d/e/deep.txt", "a/b/x.txt", "top.txt"]


def test_a_listing_that_goes_on_elsewhere_asks_for_the_folders_it_has_not_seen(world):
    for number in range(12):
        world.put(f"a/b/{number:02d}.txt", b"x")
    first = next(world.provider().list_pages())
    rest = paths(world.provider().list_pages(first.cursor))
    assert sorted(paths([first]) + rest) == [f"a/b/{number:02d}.txt" for number in range(12)]


def test_notebooks_and_shortcuts_are_no_items(world):
    world.drive.mkdir("Notes", "package")
    world.drive.mkdir("Elsewhere", "shortcut")
    world.put("Notes/section.one", b"x")
    assert paths(world.provider().list_pages()) == ["Notes/section.one"]


def test_infected_files_are_listed_as_unreadable(world):
    world.put("bad.exe", b"x", tags=None)
    world.drive.put("bad.exe", b"x", malware=True)
    assert one(world.provider(), "bad.exe").unreadable == "malware"


def test_the_version_is_the_checksum_and_the_metadata_version_knows_of_columns_and_folders(world):
    world.put("a/x.txt", b"x")
    before = one(world.provider(), "a/x.txt")
    world.drive.set_columns("a/x.txt", {"Team": "Legal"})
    columns = one(world.provider(), "a/x.txt")
    world.drive.move("a", "b")
    moved = one(world.provider(), "b/x.txt")
    assert before.version == columns.version == moved.version == "q:eAAAAAAAAAAAAAAAAQAAAAAAAAA="
    assert len({before.metadata_version, columns.metadata_version, moved.metadata_version}) == 3
    assert before.source_object_id == moved.source_object_id


def test_a_file_without_checksum_is_versioned_by_its_etag(world):
    world.drive.put("x.txt", b"x", quickXorHash=None)
    before = one(world.provider(), "x.txt").version
    world.drive.set_columns("x.txt", {"a": 1})
    assert before.startswith("e:")
    assert one(world.provider(), "x.txt").version != before


def test_the_page_size_is_left_to_the_service_and_the_fields_are_asked_for(world):
    list(world.provider().list_pages())
    (request,) = [one for one in world.graph.requests if one.kind == "delta"]
    assert "top" not in request.target
    assert "$select=id,name,size,eTag" in request.target
    assert "prefer" not in request.headers


def test_a_folder_is_listed_by_its_own_delta(world):
    world.put("media/a.txt", b"x")
    for number in range(30):
        world.put(f"other/{number}.txt", b"x")
    assert paths(world.provider("media").list_pages()) == ["media/a.txt"]
    assert (world.graph.count("delta"), world.graph.count("item")) == (1, 1)


def test_a_service_that_knows_only_the_delta_of_the_root_is_filtered_here(world):
    world.graph.faults.folder_delta = False
    for path in ("media/a.txt", "media/b/c.txt", "mediator/d.txt"):
        world.put(path, b"x")
    assert sorted(paths(world.provider("media").list_pages())) == ["media/a.txt", "media/b/c.txt"]


def test_a_file_in_a_folder_that_is_gone_is_gone_and_one_in_a_hidden_folder_is_rejected(world):
    for number in range(9):
        world.put(f"a/{number}.txt", b"x")
    first = next(world.provider().list_pages())
    world.graph.faults.add("item", status=404, code="itemNotFound")
    pages = list(world.provider().list_pages(first.cursor))
    assert paths(pages) == [f"a/{number}.txt" for number in range(4, 9)]
    assert [page.rejected for page in pages] == [()] * len(pages)
    world.graph.faults.add("item", status=403, code="accessDenied")
    pages = list(world.provider().list_pages(first.cursor))
    assert [rejected.error_type for page in pages for rejected in page.rejected] == ["access_denied"]


def test_a_folder_that_is_deleted_while_it_is_listed_is_no_place(world):
    root = {"id": "r", "name": "root", "folder": {}, "root": {}}
    gone = {"id": "f", "folder": {}, "deleted": {}, "parentReference": {"id": "r"}}
    file = {"id": "x", "name": "x.txt", "file": {}, "parentReference": {"id": "f"}}
    body = {"value": [root, file, gone], "@odata.deltaLink": f"{world.graph.url}/v1.0/x"}
    world.graph.faults.add("delta", body=json.dumps(body).encode())
    (page,) = world.provider().list_pages()
    assert (page.items.num_rows, page.rejected) == (0, ())


@pytest.mark.parametrize("status", [400, 410])
def test_a_position_that_is_no_longer_taken_starts_the_listing_again(world, status):
    for number in range(12):
        world.put(f"{number}.txt", b"x")
    pages = world.provider().list_pages()
    next(pages)
    world.graph.faults.add("delta", status=status, code="resyncRequired", headers={"Location": "http://elsewhere/"})
    with pytest.raises(CursorExpired):
        next(pages)


def test_a_position_of_another_folder_is_refused(world):
    for number in range(12):
        world.put(f"a/{number}.txt", b"x")
        world.put(f"b/{number}.txt", b"x")
    page = next(world.provider("a").list_pages())
    with pytest.raises(CursorExpired, match="another library or folder"):
        next(world.provider("b").list_pages(page.cursor))


def test_a_feed_position_is_none_of_a_listing(world):
    with pytest.raises(CursorExpired):
        next(world.provider().list_pages(Cursor(world.provider().head())))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>busy</html>",
        b"[]",
        b'{"value": []}',
        b'{"@odata.deltaLink": "x"}',
        b'{"value": [1], "@odata.deltaLink": "x"}',
        b'{"value": [], "@odata.deltaLink": "x", "@odata.nextLink": "y"}',
    ],
)
def test_an_answer_that_could_be_taken_for_an_empty_library_is_an_outage(world, body):
    world.graph.faults.add("delta", body=body)
    with pytest.raises(ProviderUnavailable):
        list(world.provider().list_pages())


def test_a_link_that_leads_to_itself_ends_the_listing(world):
    for number in range(12):
        world.put(f"{number}.txt", b"x")
    pages = world.provider().list_pages()
    next(pages)
    target = world.graph.requests[-1]
    next(pages)
    again = f'{{"value": [], "@odata.nextLink": "{world.graph.url}{world.graph.requests[-1].target}"}}'
    assert target.target != world.graph.requests[-1].target
    world.graph.faults.add("delta", body=again.encode(), times=None)
    next(pages)
    with pytest.raises(ProviderUnavailable, match="does not advance"):
        next(pages)


@pytest.mark.parametrize(
    ("fault", "error", "wait"),
    [
        ({"status": 429, "headers": {"Retry-After": "17"}}, RateLimited, 17),
        ({"status": 503, "headers": {"Retry-After": "4"}}, RateLimited, 4),
        ({"status": 509, "code": "bandwidthLimitExceeded"}, RateLimited, None),
        ({"status": 400, "code": "activityLimitReached"}, RateLimited, None),
        ({"status": 503}, ProviderUnavailable, None),
        ({"status": 500, "code": "generalException"}, ProviderUnavailable, None),
        ({"status": 504}, ProviderUnavailable, None),
        ({"status": 423, "code": "resourceLocked"}, AccessDenied, None),
        ({"status": 405}, ConfigurationError, None),
    ],
)
def test_refusals_become_errors_by_what_to_do_next(world, fault, error, wait):
    provider = world.provider()
    assert provider.root == ""
    world.graph.faults.add("delta", **fault)
    with pytest.raises(error) as caught:
        next(provider.list_pages())
    assert getattr(caught.value, "retry_after_seconds", None) == wait
