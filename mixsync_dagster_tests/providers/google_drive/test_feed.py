"""The change feed: what it tells, what it looks up, and when it asks for a new listing."""

from dataclasses import replace

import pytest

from mixsync_dagster.errors import CursorExpired, PathNotFound, ProviderUnavailable
from mixsync_dagster.ports.provider import Cursor, Probe
from mixsync_dagster.providers.google_drive.marks import Marks
from mixsync_dagster.providers.google_drive.positions import Position, position_of
from mixsync_dagster.testing.drive_simulator import MY_DRIVE
from mixsync_dagster_tests.providers.google_drive.conftest import DriveWorld, changed, paths


@pytest.fixture
def inside(world):
    """My Drive with a scope, and the ids of what is in it and beside it."""
    world.put("in/a.txt", b"a")
    world.put("in/sub/b.txt", b"b")
    world.put("in/sub/deep/c.txt", b"c")
    world.put("out/d.txt", b"d")
    return world


def test_without_change_a_look_is_one_request(server, inside):
    provider = inside.provider("in")
    head = provider.head()
    server.forget()
    assert provider.probe(head) is Probe.NOTHING_NEW
    assert server.count() == server.count("changes.list") == 1


def test_without_change_a_pass_is_one_request(server, inside):
    provider = inside.provider("in")
    head = provider.head()
    server.forget()
    assert changed(provider, head) == ([], set(), head)
    assert server.count() == server.count("changes.list") == 1


def test_a_look_sees_any_change(server, inside):
    provider = inside.provider("in")
    head = provider.head()
    inside.put("in/new.txt", b"x")
    assert provider.probe(head) is Probe.CHANGED


def test_a_new_file_and_a_changed_one_are_told(inside):
    provider = inside.provider("in")
    head = provider.head()
    inside.put("in/new.txt", b"x")
    inside.put("in/a.txt", b"changed")
    inside.put("out/e.txt", b"not ours")
    there, gone, after = changed(provider, head)
    assert there == ["in/a.txt", "in/new.txt"]
    assert gone == {inside.find("out/e.txt")}
    assert changed(provider, after) == ([], set(), after)


def test_a_renamed_file_keeps_its_identity_and_version(server, inside):
    provider = inside.provider("in")
    before = {row["source_object_id"]: row for page in provider.list_pages() for row in page.items.to_pylist()}
    head, file_id = provider.head(), inside.find("in/a.txt")
    server.files.update(file_id, name="renamed.txt")
    (row,) = [row for page in provider.changes(head) for row in page.items.to_pylist()]
    assert (row["source_object_id"], row["path"]) == (file_id, "in/renamed.txt")
    assert row["version"] == before[file_id]["version"]
    assert row["metadata_version"] != before[file_id]["metadata_version"]


def test_a_file_in_the_trash_is_gone_and_comes_back(server, inside):
    provider = inside.provider("in")
    head, file_id = provider.head(), inside.find("in/a.txt")
    server.files.update(file_id, trashed=True)
    there, gone, after = changed(provider, head)
    assert (there, gone) == ([], {file_id})
    server.files.update(file_id, trashed=False)
    assert changed(provider, after)[:2] == (["in/a.txt"], set())


def test_a_file_moved_out_of_the_scope_is_gone_and_one_moved_in_is_told(server, inside):
    provider = inside.provider("in")
    head, leaving, coming = provider.head(), inside.find("in/a.txt"), inside.find("out/d.txt")
    server.files.update(leaving, parents=[inside.folder("out")])
    server.files.update(coming, parents=[inside.folder("in/sub")])
    assert changed(provider, head)[:2] == (["in/sub/d.txt"], {leaving})


def test_a_file_deleted_for_good_or_no_longer_shared_is_gone(server, inside):
    provider = inside.provider("in")
    head, deleted, hidden = provider.head(), inside.find("in/a.txt"), inside.find("in/sub/b.txt")
    server.files.delete(deleted)
    server.files.hide(hidden)
    assert changed(provider, head)[:2] == ([], {deleted, hidden})


def test_a_renamed_folder_moves_all_that_it_holds(server, inside):
    provider = inside.provider("in")
    head = provider.head()
    server.files.update(inside.folder("in/sub"), name="new")
    assert changed(provider, head)[:2] == (["in/new/b.txt", "in/new/deep/c.txt"], set())


def test_a_folder_moved_out_takes_along_all_that_it_holds(server, inside):
    provider = inside.provider("in")
    head = provider.head()
    ids = {inside.find("in/sub/b.txt"), inside.find("in/sub/deep/c.txt")}
    server.files.update(inside.folder("in/sub"), parents=[inside.folder("out")])
    assert changed(provider, head)[:2] == ([], ids)


def test_a_folder_in_the_trash_takes_along_all_that_it_holds_and_brings_it_back(server, inside):
    provider = inside.provider("in")
    head, folder = provider.head(), inside.folder("in/sub")
    ids = {inside.find("in/sub/b.txt"), inside.find("in/sub/deep/c.txt")}
    server.files.update(folder, trashed=True)
    there, gone, after = changed(provider, head)
    assert (there, gone) == ([], ids)
    server.files.update(folder, trashed=False)
    assert changed(provider, after)[:2] == (["in/sub/b.txt", "in/sub/deep/c.txt"], set())


def test_a_folder_moved_in_brings_all_that_it_holds(server, inside):
    inside.put("out/more/e.txt", b"e")
    provider = inside.provider("in")
    head = provider.head()
    server.files.update(inside.folder("out"), parents=[inside.folder("in")])
    assert changed(provider, head)[:2] == (["in/out/d.txt", "in/out/more/e.txt"], set())


def test_a_folder_moved_in_and_lost_again_is_not_forgotten(server, inside):
    provider = inside.provider("in")
    head, folder = provider.head(), inside.folder("out")
    server.files.update(folder, parents=[inside.folder("in")])
    _, _, after = changed(provider, head)
    server.files.hide(folder)
    with pytest.raises(CursorExpired):
        changed(provider, after)


def test_a_folder_moved_in_and_lost_while_the_feed_is_read_is_not_forgotten(server, inside):
    provider = inside.provider("in")
    head, folder = provider.head(), inside.folder("out")
    server.files.update(folder, parents=[inside.folder("in")])
    for number in range(9):
        inside.put(f"in/{number}.txt", b"x")
    pages = provider.changes(head)
    assert "in/out/d.txt" in next(pages).items.column("path").to_pylist()
    server.files.hide(folder)
    with pytest.raises(CursorExpired):
        list(pages)


def test_a_folder_that_came_does_not_make_every_loss_a_doubt(server, inside):
    provider = inside.provider("in")
    head, lost = provider.head(), inside.find("out/d.txt")
    inside.put("in/new/e.txt", b"x")
    server.files.delete(lost)
    assert changed(provider, head)[:2] == (["in/new/e.txt"], {lost})


def test_a_folder_moved_in_and_lost_before_the_feed_was_caught_up_is_not_forgotten(server, inside):
    provider = inside.provider("in")
    head, folder = provider.head(), inside.folder("out")
    server.files.update(folder, parents=[inside.folder("in")])
    for number in range(9):
        inside.put(f"in/{number}.txt", b"x")
    first = next(provider.changes(head))
    assert not first.caught_up
    server.files.hide(folder)
    with pytest.raises(CursorExpired):
        changed(inside.provider("in"), first.cursor)


@pytest.mark.parametrize("how", ["delete", "hide"])
def test_a_folder_of_the_scope_that_is_lost_asks_for_a_new_listing(server, inside, how):
    provider = inside.provider("in")
    head = provider.head()
    getattr(server.files, how)(inside.folder("in/sub"))
    with pytest.raises(CursorExpired):
        changed(provider, head)


@pytest.mark.parametrize("how", ["delete", "hide"])
def test_a_folder_elsewhere_that_is_lost_does_not(server, inside, how):
    provider = inside.provider("in")
    head, folder = provider.head(), inside.folder("out")
    getattr(server.files, how)(folder)
    assert changed(provider, head)[:2] == ([], {folder})


def test_a_folder_that_somebody_looked_at_costs_no_walk(server, inside):
    provider = inside.provider("in")
    head = provider.head()
    server.files.changed(inside.folder("in/sub"))
    server.forget()
    assert changed(provider, head)[:2] == ([], set())
    assert not any("in parents and trashed" in asked.get("q", "") for _, asked in server.requests)


def test_a_folder_of_very_many_folders_asks_for_a_new_listing(server, inside):
    for number in range(6):
        inside.folder(f"out/{number}")
    provider = inside.provider("in", walk_folders=5)
    head = provider.head()
    server.files.update(inside.folder("out"), parents=[inside.folder("in")])
    with pytest.raises(CursorExpired):
        changed(provider, head)


def test_a_root_that_somebody_looked_at_changes_nothing(server, inside):
    provider = inside.provider(inside.folder("in"))
    head = provider.head()
    server.files.changed(inside.folder("in"))
    assert changed(provider, head)[:2] == ([], set())


def test_a_root_in_the_trash_asks_for_a_new_listing_which_says_so(server, inside):
    provider = inside.provider(inside.folder("in"))
    head = provider.head()
    server.files.update(inside.folder("in"), trashed=True)
    with pytest.raises(PathNotFound, match="is in the trash"):
        changed(provider, head)


def test_a_renamed_root_asks_for_a_new_listing(server, inside):
    provider = inside.provider(inside.folder("in"))
    head = provider.head()
    server.files.update(inside.folder("in"), name="renamed")
    with pytest.raises(CursorExpired):
        changed(inside.provider(inside.folder("renamed")), head)


@pytest.mark.parametrize("change", ["renamed", "moved"])
def test_a_path_that_names_another_folder_now_asks_for_a_new_listing(server, inside, change):
    provider = inside.provider("in")
    head = provider.head()
    server.files.update(
        inside.folder("in"), **({"name": "was"} if change == "renamed" else {"parents": [inside.folder("out")]})
    )
    inside.put("in/other.txt", b"x")
    with pytest.raises(CursorExpired):
        changed(provider, head)


@pytest.mark.parametrize("cursor", ["", "no cursor", "[]", "{}", '[1,"0",1,2,3,4,5]'])
def test_a_position_of_nobody_is_refused(inside, cursor):
    with pytest.raises(CursorExpired):
        changed(inside.provider("in"), Cursor(cursor))
    with pytest.raises(CursorExpired):
        inside.provider("in").probe(Cursor(cursor))


def test_a_position_of_another_scope_is_refused(inside):
    with pytest.raises(CursorExpired):
        changed(inside.provider("out"), inside.provider("in").head())


@pytest.mark.parametrize(("status", "location"), [(400, "pageToken"), (404, "pageToken"), (410, "")])
def test_a_token_that_drive_refuses_asks_for_a_new_listing(server, inside, status, location):
    provider = inside.provider("in")
    head = provider.head()
    server.fail("changes.list", status=status, reason="invalid", location=location)
    with pytest.raises(CursorExpired):
        changed(provider, head)


@pytest.mark.parametrize("fault", ["repeat_changes", "empty_pages"])
def test_repeated_reordered_and_empty_pages_of_the_log_change_nothing(server, inside, fault):
    provider = inside.provider("in")
    head = provider.head()
    setattr(server.api, fault, True)
    for number in range(9):
        inside.put(f"in/{number}.txt", b"1")
        inside.put(f"in/{number}.txt", b"2")
    server.files.update(inside.find("in/3.txt"), trashed=True)
    there, gone, after = changed(provider, head)
    assert there == [f"in/{number}.txt" for number in range(9) if number != 3]
    assert gone == {inside.find("in/3.txt")}
    assert changed(provider, after)[:2] == ([], set())


def test_the_feed_goes_on_behind_every_page(inside):
    provider = inside.provider("in")
    head = provider.head()
    for number in range(13):
        inside.put(f"in/{number:02}.txt", b"x")
    pages = list(provider.changes(head))
    assert [page.caught_up for page in pages] == [False, False, True]
    assert len({page.cursor for page in pages}) == 3
    assert changed(provider, pages[0].cursor)[0] == [f"in/{number:02}.txt" for number in range(5, 13)]


def test_an_answer_without_position_is_an_outage(server, inside):
    provider = inside.provider("in")
    head = provider.head()
    for ask in (lambda: changed(provider, head), lambda: provider.probe(head)):
        server.fail("changes.list", status=200)
        with pytest.raises(ProviderUnavailable):
            ask()


def test_a_change_between_head_and_listing_is_in_the_feed(inside):
    provider = inside.provider("in")
    head = provider.head()
    inside.put("in/between/new.txt", b"x")
    listed = paths(provider)
    assert set(listed) | set(changed(provider, head)[0]) >= {"in/between/new.txt", "in/a.txt"}


# Shared drives and shortcuts


def test_a_shared_drive_has_its_own_log(server, shared_world):
    shared_world.put("in/a.txt", b"x")
    provider = shared_world.provider("in")
    head = provider.head()
    DriveWorld(server).put("in/mine.txt", b"x")
    assert provider.probe(head) is Probe.NOTHING_NEW
    shared_world.put("in/b.txt", b"x")
    assert changed(provider, head)[0] == ["in/b.txt"]


def test_a_shortcut_adds_the_log_of_the_drive_that_it_leads_to(server, world):
    team = DriveWorld(server, server.files.add_drive("Team"))
    team.put("Plans/a.txt", b"x")
    server.files.add_shortcut("link", world.folder("in"), team.folder("Plans"))
    provider = world.provider("in")
    head = provider.head()
    server.forget()
    assert provider.probe(head) is Probe.NOTHING_NEW
    assert server.count() == server.count("changes.list") == 2
    team.put("Plans/new.txt", b"x")
    team.put("Other/new.txt", b"x")
    assert provider.probe(head) is Probe.CHANGED
    assert changed(provider, head)[0] == ["in/link/new.txt"]


def test_a_file_that_a_shortcut_leads_to_is_followed(server, world):
    team = DriveWorld(server, server.files.add_drive("Team"))
    target = team.put("real.txt", b"x")
    server.files.add_shortcut("link.txt", world.folder("in"), target)
    provider = world.provider("in")
    head = provider.head()
    team.put("real.txt", b"changed")
    assert changed(provider, head)[0] == ["in/link.txt"]


def test_a_shortcut_that_comes_or_goes_asks_for_a_new_listing(server, world):
    target, folder = world.put("elsewhere/real.txt", b"x"), world.folder("in")
    provider = world.provider("in")
    head = provider.head()
    shortcut = server.files.add_shortcut("link.txt", folder, target)
    with pytest.raises(CursorExpired):
        changed(provider, head)
    head = provider.head()
    server.files.update(shortcut, trashed=True)
    with pytest.raises(CursorExpired):
        changed(provider, head)
    server.files.update(shortcut, trashed=False)
    head = provider.head()
    server.files.delete(shortcut)
    with pytest.raises(CursorExpired):
        changed(provider, head)


def test_a_shortcut_that_somebody_looked_at_and_one_elsewhere_change_nothing(server, world):
    target = world.put("elsewhere/real.txt", b"x")
    shortcut = server.files.add_shortcut("link.txt", world.folder("in"), target)
    provider = world.provider("in")
    head = provider.head()
    server.files.changed(shortcut)
    server.files.add_shortcut("other", world.folder("elsewhere"), target)
    assert changed(provider, head)[:2] == ([], set())


def test_leaving_a_drive_that_a_shortcut_leads_to_is_seen(server, world):
    drive_id = server.files.add_drive("Team")
    team = DriveWorld(server, drive_id)
    team.put("Plans/a.txt", b"x")
    server.files.add_shortcut("link", world.folder("in"), team.folder("Plans"))
    provider = world.provider("in")
    head = provider.head()
    server.files.leave_drive(drive_id)
    with pytest.raises(CursorExpired):
        changed(provider, head)


def test_a_drive_that_only_a_shortcut_leads_to_and_that_is_lost_asks_for_a_new_listing(server, shared_world):
    drive_id = server.files.add_drive("Other")
    other = DriveWorld(server, drive_id)
    other.put("Plans/a.txt", b"x")
    shared_world.put("in/b.txt", b"x")
    server.files.add_shortcut("link", shared_world.folder("in"), other.folder("Plans"))
    provider = shared_world.provider("in")
    head = provider.head()
    assert paths(provider) == ["in/b.txt", "in/link/a.txt"]
    server.files.leave_drive(drive_id)
    for ask in (provider.probe, lambda after: changed(provider, after)):
        with pytest.raises(CursorExpired):
            ask(head)


def test_the_loss_of_the_scopes_own_drive_is_no_reason_to_list(server, shared_world):
    shared_world.put("in/b.txt", b"x")
    provider = shared_world.provider("in")
    head = provider.head()
    server.files.leave_drive(shared_world.base)
    for ask in (provider.probe, lambda after: changed(provider, after)):
        with pytest.raises(PathNotFound):
            ask(head)


# Marks


def test_marks_remember_every_folder_and_stay_small():
    for count in (0, 1, 230, 500, 2000, 20_000):
        marks = Marks.of([(f"folder-{number}", f"state-{number}") for number in range(count)])
        text = marks.text()
        read = Marks.read(text)
        assert len(text) < 3200
        assert all(f"folder-{number}" in read for number in range(count))
        assert read.stateful == (count <= 230)
        wrong = sum(f"other-{number}" in read for number in range(10_000))
        assert wrong <= {0: 0, 1: 0, 230: 0, 500: 0, 2000: 300}.get(count, 10_000)


@pytest.mark.parametrize("text", ["", "1.2", "1.2.x", "1.0.eJwDAAAAAAE=", "a.b.c"])
def test_marks_of_nobody_are_refused(text):
    with pytest.raises(CursorExpired):
        Marks.read(text)


def test_a_position_of_very_many_logs_rather_forgets_its_folders_than_grow_too_long(world):
    marks = Marks.of([(f"folder-{number}", "") for number in range(3000)]).text()
    settings = world.provider()._settings
    position = Position("root", "", tuple((f"0ADrive{number:020}", "123456") for number in range(60)), marks)
    cursor = position.cursor(settings)
    assert len(cursor) < 4096
    assert position_of(cursor, settings) == replace(position, marks="")


def test_positions_stay_under_the_ports_limit_with_thousands_of_folders(server, world):
    for number in range(3000):
        server.files.add_folder(f"folder {number}", MY_DRIVE)
    assert len(world.provider(page_rows=1000).head()) < 4096
    folder = server.files.add_folder("\U0001f600" * 1000, MY_DRIVE)
    head = world.provider(folder, page_rows=1000).head()
    assert len(head) < 4096
    assert head.isascii()
    assert changed(world.provider(folder, page_rows=1000), head)[:2] == ([], set())
