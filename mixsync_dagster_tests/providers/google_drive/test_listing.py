"""Listing: corpora and their trees, documents, the trash, shortcuts, pages of every kind."""

import pytest

from mixsync_dagster.errors import ConfigurationError, CursorExpired, PathNotFound, ProviderUnavailable
from mixsync_dagster.model.paths import parse_drive_path
from mixsync_dagster.testing.drive_simulator import MY_DRIVE
from mixsync_dagster_tests.providers.google_drive.conftest import DriveWorld, changed, items, paths

DOCUMENT = "application/vnd.google-apps.document"


def unreadable(provider):
    return {path: item.unreadable for path, item in items(provider).items() if item.unreadable}


def test_a_folder_given_by_its_id_heads_the_paths_with_its_name(world):
    world.put("Clients/Acme/a.txt", b"x")
    provider = world.provider(world.folder("Clients/Acme"))
    assert (provider.root, paths(provider)) == ("Acme/", ["Acme/a.txt"])


def test_the_id_root_means_the_whole_of_my_drive(world):
    world.put("in/a.txt", b"x")
    provider = world.provider(place=parse_drive_path("root"))
    assert (provider.root, paths(provider)) == ("", ["in/a.txt"])


def test_a_folder_of_a_shared_drive_is_found_by_its_id_alone(server, world):
    drive_id = server.files.add_drive("Team")
    team = DriveWorld(server, drive_id)
    team.put("Plans/a.txt", b"x")
    world.put("Plans/other.txt", b"x")
    assert paths(world.provider(team.folder("Plans"))) == ["Plans/a.txt"]


def test_a_shared_drive_is_listed_in_its_own_corpus_only(server, shared_world):
    shared_world.put("in/a.txt", b"x")
    DriveWorld(server).put("in/mine.txt", b"x")
    assert paths(shared_world.provider()) == ["in/a.txt"]
    listings = [asked for operation, asked in server.requests if operation == "files.list"]
    assert {(asked["corpora"], asked["driveId"]) for asked in listings} == {("drive", shared_world.base)}


def test_a_shared_drive_given_as_the_source_path_is_the_whole_of_it(server, world):
    drive_id = server.files.add_drive("Team")
    DriveWorld(server, drive_id).put("Plans/a.txt", b"x")
    provider = world.provider(drive_id)
    assert (provider.root, paths(provider)) == ("", ["Plans/a.txt"])


def test_parents_are_never_asked_for_together(server, world):
    for number in range(8):
        world.put(f"in/{number}/a.txt", b"x")
    assert len(paths(world.provider("in"))) == 8
    assert all(asked.get("q", "").count("in parents") <= 1 for _, asked in server.requests)


def test_a_folder_that_is_open_by_its_link_alone_is_walked_through(server, world):
    other = server.files.add_folder("Public", MY_DRIVE, listed=False)
    server.files.files[other].parents = []
    inner = server.files.add_folder("inner", other, listed=False)
    server.files.add("a.txt", inner, content=b"x", listed=False)
    server.files.add("b.txt", other, content=b"x")
    assert paths(world.provider(other)) == ["Public/b.txt", "Public/inner/a.txt"]


def test_a_shared_folder_of_a_drive_that_the_account_is_no_member_of_is_walked_through(server, world):
    drive_id = server.files.add_drive("Others")
    others = DriveWorld(server, drive_id)
    others.put("Plans/deep/a.txt", b"x")
    others.put("Plans/b.txt", b"x")
    others.put("Private/c.txt", b"x")
    shared = others.folder("Plans")
    server.files.update(shared, shared=True)
    server.files.leave_drive(drive_id)
    for few_folders in (0, 10):
        assert paths(world.provider(shared, few_folders=few_folders)) == ["Plans/b.txt", "Plans/deep/a.txt"]
    server.files.add_shortcut("link", world.folder("in"), shared)
    assert paths(world.provider("in")) == ["in/link/b.txt", "in/link/deep/a.txt"]
    provider = world.provider(shared)
    provider.check()
    head = provider.head()
    server.files.write(others.find("Plans/b.txt"), b"changed")
    assert changed(provider, head)[:2] == (["Plans/b.txt"], set())


def test_a_file_of_old_that_lies_in_two_folders_is_listed_once(server, world):
    team = DriveWorld(server, server.files.add_drive("Team"))
    elsewhere = team.folder("Plans")
    server.files.add_shortcut("link", world.folder("in"), elsewhere)
    server.files.add("a.txt", world.folder("in/x"), content=b"x")
    server.files.files[world.find("in/x/a.txt")].parents.append(world.folder("in/y"))
    for few_folders in (0, 10):
        assert paths(world.provider("in", few_folders=few_folders)) == ["in/x/a.txt"]


def test_what_is_in_the_trash_is_not_listed_nor_what_lies_in_a_folder_there(server, world):
    kept, gone = world.put("in/kept.txt", b"x"), world.put("in/gone.txt", b"x")
    world.put("in/old/below.txt", b"x")
    server.files.update(gone, trashed=True)
    server.files.update(world.folder("in/old"), trashed=True)
    assert list(items(world.provider("in"))) == ["in/kept.txt"]
    assert kept


def test_two_files_of_one_name_are_two_items(server, world):
    folder = world.folder("in")
    ids = {server.files.add("same.txt", folder, content=content) for content in (b"1", b"2")}
    found = [item for page in world.provider("in").list_pages() for item in page.items.to_pylist()]
    assert {(row["source_object_id"], row["path"]) for row in found} == {(one, "in/same.txt") for one in ids}


def test_folders_that_are_said_to_hold_each_other_are_outside_of_everything(server, world):
    world.put("in/a.txt", b"x")
    one, two = world.folder("one"), world.folder("one/two")
    server.files.add("b.txt", two, content=b"x")
    server.files.files[one].parents = [two]
    assert paths(world.provider()) == ["in/a.txt"]


def test_a_slash_in_a_name_does_not_make_a_folder(server, world):
    server.files.add("a/b.txt", world.folder("in"), content=b"x")
    assert paths(world.provider("in")) == ["in/a\uff0fb.txt"]


def test_half_a_character_in_a_name_does_not_end_the_listing(server, world):
    server.files.add("a\ud83d.txt", world.folder("in"), content=b"x")
    assert paths(world.provider("in")) == ["in/a?.txt"]


def test_two_folders_of_one_name_are_refused_with_their_ids(server, world):
    ids = sorted(server.files.add_folder("Twice") for _ in range(2))
    with pytest.raises(ConfigurationError, match=f"/Twice is not accepted.*{ids[0]}, {ids[1]}"):
        list(world.provider("Twice").list_pages())


def test_names_with_quotes_and_backslashes_are_found(server, world):
    world.put("it's a \\ name/a.txt", b"x")
    assert paths(world.provider("it's a \\ name")) == ["it's a \\ name/a.txt"]


def test_a_very_long_name_is_asked_for_although_it_fills_more_than_a_query(world):
    name = "\u6f22" * 250
    world.put(f"{name}/a.txt", b"x")
    assert paths(world.provider(name)) == [f"{name}/a.txt"]


@pytest.mark.parametrize("few_folders", [0, 10])
def test_short_and_empty_pages_do_not_end_a_listing(server, world, few_folders):
    for number in range(9):
        world.put(f"in/{number % 3}/{number}.txt", b"x")
    server.api.page_rows, server.api.empty_pages = 2, True
    assert len(paths(world.provider("in", few_folders=few_folders))) == 9


def test_a_page_token_that_drive_no_longer_takes_is_an_expired_cursor(server, whole_world):
    for number in range(12):
        whole_world.put(f"in/{number}.txt", b"x")
    provider = whole_world.provider("in")
    first = next(provider.list_pages())
    server.api.expire_page_tokens()
    with pytest.raises(CursorExpired):
        list(provider.list_pages(first.cursor))


@pytest.mark.parametrize("few_folders", [0, 10])
def test_a_cursor_of_another_source_path_is_refused(world, few_folders):
    for number in range(12):
        world.put(f"in/{number}.txt", b"x")
        world.put(f"out/{number}.txt", b"x")
    first = next(world.provider("in", few_folders=few_folders).list_pages())
    with pytest.raises(CursorExpired):
        list(world.provider("out", few_folders=few_folders).list_pages(first.cursor))


def test_a_listing_by_folders_goes_on_although_its_folder_is_gone(server, world):
    for number in range(4):
        for name in range(7):
            world.put(f"in/{number}/{name}.txt", b"x")
    provider = world.provider("in")
    pages = provider.list_pages()
    first = next(page for page in pages if page.items.num_rows)
    gone = first.items.column("path")[0].as_py().split("/")[1]
    server.files.update(world.folder(f"in/{gone}"), trashed=True)
    rest = paths(world.provider("in"), first.cursor)
    assert sorted({path.split("/")[1] for path in rest}) == sorted({"0", "1", "2", "3"} - {gone})


def test_a_listing_that_does_not_advance_is_an_outage(server, world):
    for number in range(12):
        world.put(f"in/{number}.txt", b"x")

    def same_token(_form, waiting):
        server.api._tokens["~f0"] = waiting + waiting
        return "~f0"

    server.api._token = same_token
    with pytest.raises(ProviderUnavailable, match="does not advance"):
        list(world.provider("in").list_pages())


def test_a_search_that_says_it_is_incomplete_is_no_listing(server, world):
    server.api.incomplete = True
    with pytest.raises(ProviderUnavailable, match="did not search everything"):
        list(world.provider().list_pages())


def test_documents_have_the_type_and_name_of_their_export(server, world):
    folder = world.folder("in")
    for kind in ("document", "spreadsheet", "presentation", "drawing"):
        server.files.add(kind, folder, f"application/vnd.google-apps.{kind}")
    found = items(world.provider("in"))
    assert sorted(found) == ["in/document.docx", "in/drawing.pdf", "in/presentation.pptx", "in/spreadsheet.xlsx"]
    assert found["in/spreadsheet.xlsx"].mime_type.endswith("spreadsheetml.sheet")
    assert {item.size_bytes for item in found.values()} == {None}
    assert sorted(items(world.provider("in", export_format="text"))) == [
        "in/document.txt",
        "in/drawing.pdf",
        "in/presentation.txt",
        "in/spreadsheet.csv",
    ]


def test_a_document_exported_in_another_format_is_another_version(server, world):
    server.files.add("doc", MY_DRIVE, DOCUMENT)
    versions = {
        item.version for chosen in ("office", "pdf") for item in items(world.provider(export_format=chosen)).values()
    }
    assert len(versions) == 2


def test_what_has_no_bytes_is_listed_with_its_reason(server, world):
    folder = world.folder("in")
    for kind in ("form", "site", "map", "drive-sdk.123"):
        server.files.add(kind, folder, f"application/vnd.google-apps.{kind}")
    server.files.add("locked.pdf", folder, "application/pdf", content=b"x", can_download=False)
    assert unreadable(world.provider("in")) == {
        "in/form": "not_exportable",
        "in/site": "not_exportable",
        "in/map": "not_exportable",
        "in/drive-sdk.123": "not_exportable",
        "in/locked.pdf": "download_forbidden",
    }


def test_what_mapping_can_see_changes_the_metadata_version_and_not_the_version(server, world):
    file_id = world.put("in/a.txt", b"x")
    before = items(world.provider())["in/a.txt"]
    seen = {before.metadata_version}
    for change in ({"starred": True}, {"app_properties": {"team": "blue"}}, {"description": "d"}, {"name": "b.txt"}):
        server.files.update(file_id, **change)
        (after,) = items(world.provider()).values()
        assert after.version == before.version
        seen.add(after.metadata_version)
    assert len(seen) == 5


def test_an_upload_of_the_same_bytes_is_the_same_version(server, world):
    file_id = world.put("a.txt", b"x")
    before = items(world.provider())["a.txt"].version
    server.files.write(file_id, b"x")
    assert items(world.provider())["a.txt"].version == before


# Shortcuts


def test_a_shortcut_brings_its_target_in_under_the_targets_id(server, world):
    target = world.put("elsewhere/real.txt", b"x")
    server.files.add_shortcut("link.txt", world.folder("in"), target)
    found = items(world.provider("in"))
    assert {path: item.source_object_id for path, item in found.items()} == {"in/link.txt": target}


def test_a_shortcut_to_a_folder_brings_in_all_that_it_holds(server, world):
    world.put("elsewhere/deep/a.txt", b"x")
    world.put("elsewhere/b.txt", b"x")
    server.files.add_shortcut("link", world.folder("in"), world.folder("elsewhere"))
    assert paths(world.provider("in")) == ["in/link/b.txt", "in/link/deep/a.txt"]


def test_a_shortcut_into_a_shared_drive_is_followed_there(server, world):
    drive_id = server.files.add_drive("Team")
    team = DriveWorld(server, drive_id)
    team.put("Plans/deep/a.txt", b"x")
    team.put("Plans/b.txt", b"x")
    server.files.add_shortcut("link", world.folder("in"), team.folder("Plans"))
    assert paths(world.provider("in")) == ["in/link/b.txt", "in/link/deep/a.txt"]


@pytest.mark.parametrize("few_folders", [0, 10])
def test_what_several_shortcuts_lead_to_is_listed_once(server, world, few_folders):
    target = world.put("elsewhere/real.txt", b"x")
    inside = world.put("in/inside.txt", b"x")
    for name in ("b", "a", "c"):
        server.files.add_shortcut(name, world.folder("in"), target)
    server.files.add_shortcut("to-inside", world.folder("in"), inside)
    server.files.add_shortcut("to-folder", world.folder("in"), world.folder("in"))
    assert paths(world.provider("in", few_folders=few_folders)) == ["in/a", "in/inside.txt"]


def test_shortcuts_that_lead_to_each_other_come_to_an_end(server, world):
    one, two = world.folder("in"), world.folder("other")
    world.put("other/a.txt", b"x")
    server.files.add_shortcut("there", one, two)
    server.files.add_shortcut("back", two, one)
    server.files.add_shortcut("self", two, two)
    assert paths(world.provider("in")) == ["in/there/a.txt"]


def test_a_shortcut_hands_over_the_key_of_its_target(server, world):
    target = server.files.add("real.txt", MY_DRIVE, content=b"secret", resource_key="0-key", listed=False)
    server.files.files[target].parents = []
    server.files.add_shortcut("link.txt", world.folder("in"), target, target_key="0-key")
    provider = world.provider("in")
    (item,) = items(provider).values()
    assert b"".join(provider.read(item)) == b"secret"


def test_a_shortcut_to_nothing_is_listed_with_its_reason(server, world):
    gone, hidden = world.put("x/gone.txt", b"x"), world.folder("x/hidden")
    server.files.add_shortcut("file-link", world.folder("in"), gone)
    server.files.add_shortcut("folder-link", world.folder("in"), hidden)
    server.files.delete(gone)
    server.files.files[hidden].visible = False
    assert unreadable(world.provider("in")) == {
        "in/file-link": "shortcut_broken",
        "in/folder-link": "shortcut_broken",
    }


def test_shortcuts_are_left_alone_where_the_connection_says_so(server, world):
    target = world.put("elsewhere/real.txt", b"x")
    server.files.add_shortcut("link.txt", world.folder("in"), target)
    assert paths(world.provider("in", follow_shortcuts=False)) == []


# check


def test_check_says_with_whom_the_folder_has_to_be_shared(server, world):
    hidden = server.files.add_folder("Hidden")
    server.files.files[hidden].visible = False
    with pytest.raises(PathNotFound, match=f"{hidden} does not exist, or is not shared with mixsync@"):
        world.provider(hidden).check()


def test_check_says_that_the_account_is_no_member_of_the_drive(world):
    with pytest.raises(PathNotFound, match=r"shared_drive_id: 0Anone does not exist, or mixsync@.* is no member"):
        world.provider(shared_drive_id="0Anone").check()


def test_check_refuses_a_file_and_a_folder_in_the_trash(server, world):
    file_id, folder = world.put("a.txt", b"x"), world.folder("old")
    server.files.update(folder, trashed=True)
    with pytest.raises(ConfigurationError, match="it is a file; give a folder"):
        world.provider(file_id).check()
    with pytest.raises(PathNotFound, match="is in the trash"):
        world.provider(folder).check()


def test_check_refuses_a_folder_of_another_drive(server, world):
    drive_id = server.files.add_drive("Team")
    with pytest.raises(ConfigurationError, match="give a folder of the shared drive"):
        world.provider(world.folder("in"), shared_drive_id=drive_id).check()
