import pytest

from mixsync_dagster.errors import ConfigurationError, CursorExpired, PathNotFound, RateLimited
from mixsync_dagster.ports.provider import Cursor, Probe
from mixsync_dagster_tests.providers.sharepoint.support import identity, one, paths, told


@pytest.fixture
def filled(world):
    for path in ("media/a.txt", "media/deep/b.txt", "other/c.txt", "top.txt"):
        world.put(path, path.encode())
    return world


def test_new_changed_and_removed_files_are_told(filled):
    provider = filled.provider()
    head = provider.head()
    gone = identity(filled.drive, "top.txt")
    filled.put("media/new.txt", b"new")
    filled.put("other/c.txt", b"changed")
    filled.delete("top.txt")
    changed, removed, _ = told(provider, head)
    assert changed == ["media/new.txt", "other/c.txt"]
    assert removed == {gone}


def test_nothing_is_told_twice_and_nothing_when_nothing_happened(filled):
    provider = filled.provider()
    head = provider.head()
    filled.put("new.txt", b"x")
    _, _, end = told(provider, head)
    assert told(provider, end)[:2] == ([], set())


def test_no_change_costs_one_request_in_a_run_and_one_in_a_look(filled):
    head = filled.provider("media").head()
    provider = filled.provider("media")
    assert provider.probe(head) is Probe.NOTHING_NEW
    filled.graph.forget_requests()
    assert provider.probe(head) is Probe.NOTHING_NEW
    assert filled.graph.count() == filled.graph.count("delta") == 1
    filled.graph.forget_requests()
    assert told(provider, head)[0] == []
    assert provider.root == "media/"
    assert filled.graph.count() == filled.graph.count("delta") == 1


def test_a_file_whose_name_is_no_unicode_is_rejected_and_the_others_are_told(filled):
    provider = filled.provider("media")
    head = provider.head()
    odd = filled.put("media/odd\ud800.txt", b"x")
    filled.put("media/new.txt", b"x")
    (page,) = provider.changes(head)
    assert paths([page]) == ["media/new.txt"]
    (rejected,) = page.rejected
    assert (rejected.source_object_id, rejected.error_type) == (f"{filled.drive.id}!{odd.id}", "unsupported_name")


def test_what_is_rejected_below_a_renamed_folder_is_told_too(filled):
    filled.put("media/odd\ud800.txt", b"x")
    provider = filled.provider()
    head = provider.head()
    filled.drive.move("media", "moved")
    rejected = {one.path for page in provider.changes(head) for one in page.rejected}
    assert rejected == {"moved/odd\\ud800.txt"}


def test_a_look_finds_a_change(filled):
    provider = filled.provider()
    head = provider.head()
    filled.put("new.txt", b"x")
    assert provider.probe(head) is Probe.CHANGED


def test_a_look_at_an_empty_page_with_more_behind_it_does_not_know(filled):
    provider = filled.provider()
    head = provider.head()
    filled.put("new.txt", b"x")
    filled.graph.faults.empty_pages = True
    assert provider.probe(head) is Probe.UNKNOWN
    assert told(provider, head)[0] == ["new.txt"]


def test_many_changes_come_in_pages_whose_positions_go_on(filled):
    provider = filled.provider()
    head = provider.head()
    for number in range(12):
        filled.put(f"top-{number:02d}.txt", b"x")
    pages = list(provider.changes(head))
    assert len(pages) == 3
    assert sorted(paths(filled.provider().changes(pages[0].cursor))) == [f"top-{n:02d}.txt" for n in range(5, 12)]


@pytest.mark.parametrize("habit", ["reversed_pages", "repeated_entries", "empty_pages"])
def test_habits_of_the_service_change_nothing(filled, habit):
    setattr(filled.graph.faults, habit, True)
    provider = filled.provider()
    head = provider.head()
    for number in range(12):
        filled.put(f"new/{number:02d}.txt", b"x")
    assert told(provider, head)[0] == [f"new/{number:02d}.txt" for number in range(12)]


@pytest.mark.parametrize("changes_only", [True, False])
def test_a_renamed_folder_tells_everything_below_it_by_its_new_path(filled, changes_only):
    filled.graph.faults.changes_only = changes_only
    provider = filled.provider()
    before = one(provider, "media/deep/b.txt")
    head = provider.head()
    filled.drive.move("media", "Media 2")
    changed, removed, _ = told(provider, head)
    assert changed == ["Media 2/a.txt", "Media 2/deep/b.txt"]
    assert removed == set()
    after = one(filled.provider(), "Media 2/deep/b.txt")
    assert (after.source_object_id, after.version) == (before.source_object_id, before.version)


def test_without_parents_in_the_answer_only_changed_folders_are_read_again(filled):
    provider = filled.provider()
    head = provider.head()
    filled.put("media/deep/b.txt", b"changed")
    filled.graph.forget_requests()
    assert told(provider, head)[0] == ["media/deep/b.txt"]
    assert filled.graph.count("delta") == 1
    assert "deltaexcludeparent" in filled.graph.requests[0].headers["prefer"].lower()


def test_the_scope_s_own_folder_is_not_asked_for(filled):
    head = filled.provider("media/deep").head()
    filled.put("media/deep/b.txt", b"changed again")
    provider = filled.provider("media/deep")
    filled.graph.forget_requests()
    assert told(provider, head)[0] == ["media/deep/b.txt"]
    assert filled.graph.count("item") == 0


def test_folders_inside_a_changed_folder_are_not_read_twice(filled):
    provider = filled.provider()
    head = provider.head()
    filled.drive.move("media/deep", "media/deeper")
    filled.drive.move("media", "Media 2")
    filled.graph.forget_requests()
    assert told(provider, head)[0] == ["Media 2/a.txt", "Media 2/deeper/b.txt"]
    assert filled.graph.count("delta") == 2


def test_a_file_that_leaves_the_scope_is_removed_and_one_that_enters_is_told(filled):
    provider = filled.provider("media")
    head = provider.head()
    filled.drive.move("media/a.txt", "other/a.txt")
    filled.drive.move("other/c.txt", "media/c.txt")
    changed, removed, _ = told(provider, head)
    assert changed == ["media/c.txt"]
    assert removed == {identity(filled.drive, "other/a.txt")}


def test_a_folder_that_leaves_the_scope_takes_everything_below_it_along(filled):
    provider = filled.provider("media")
    head = provider.head()
    filled.drive.move("media/deep", "other/deep")
    changed, removed, _ = told(provider, head)
    assert changed == []
    assert removed == {identity(filled.drive, "other/deep/b.txt")}


def test_a_folder_that_enters_the_scope_brings_everything_below_it(filled):
    for number in range(12):
        filled.put(f"other/sub/{number:02d}.txt", b"x")
    provider = filled.provider("media")
    head = provider.head()
    filled.drive.move("other", "media/other")
    changed, removed, _ = told(provider, head)
    assert changed == ["media/other/c.txt", *[f"media/other/sub/{number:02d}.txt" for number in range(12)]]
    assert removed == set()


def test_positions_of_a_folder_s_pages_differ_and_begin_the_page_again(filled):
    for number in range(12):
        filled.put(f"other/{number:02d}.txt", b"x")
    provider = filled.provider()
    head = provider.head()
    filled.drive.move("other", "media/other")
    pages = list(provider.changes(head))
    cursors = [page.cursor for page in pages]
    assert len(set(cursors)) == len(cursors) > 2
    assert told(filled.provider(), cursors[1]) == told(filled.provider(), head)


@pytest.mark.parametrize("tell_content", [True, False])
def test_a_deleted_folder_makes_everything_be_listed_again(filled, tell_content):
    filled.drive.deletes_tell_content = tell_content
    provider = filled.provider()
    head = provider.head()
    filled.delete("media")
    with pytest.raises(CursorExpired, match="folder was deleted"):
        list(provider.changes(head))


@pytest.mark.parametrize("code", ["resyncChangesApplyDifferences", "resyncChangesUploadDifferences"])
def test_a_position_that_is_gone_makes_everything_be_listed_again(filled, code):
    provider = filled.provider()
    head = provider.head()
    filled.graph.faults.add("delta", status=410, code=code, headers={"Location": "http://169.254.169.254/"}, times=2)
    with pytest.raises(CursorExpired, match="too old"):
        list(provider.changes(head))
    with pytest.raises(CursorExpired):
        provider.probe(head)
    assert {request.headers["host"] for request in filled.graph.requests} == {filled.graph.url.removeprefix("http://")}


def test_the_simulated_service_forgets_old_positions(filled):
    provider = filled.provider()
    head = provider.head()
    filled.graph.expired_before = filled.drive.sequence + 1
    with pytest.raises(CursorExpired):
        list(provider.changes(head))
    assert len(paths(provider.list_pages())) == 4


def test_a_damaged_position_is_said_aloud_and_not_hidden_by_a_new_listing(filled):
    provider = filled.provider()
    head = provider.head()
    filled.graph.faults.add("delta", status=400, code="invalidRequest")
    with pytest.raises(ConfigurationError, match="does not understand the stored position"):
        list(provider.changes(head))


def test_throttling_inside_a_feed_carries_its_wait(filled):
    provider = filled.provider()
    head = provider.head()
    filled.graph.faults.add("delta", status=429, headers={"Retry-After": "30"})
    with pytest.raises(RateLimited) as caught:
        provider.probe(head)
    assert caught.value.retry_after_seconds == 30


def test_a_renamed_source_folder_is_missing(filled):
    provider = filled.provider("media")
    head = provider.head()
    filled.drive.move("media", "renamed")
    with pytest.raises(PathNotFound, match="media"):
        list(provider.changes(head))


def test_a_source_folder_that_was_replaced_by_another_is_listed_again(filled):
    provider = filled.provider("media")
    head = provider.head()
    filled.drive.move("media", "old")
    filled.put("media/new.txt", b"x")
    with pytest.raises(CursorExpired, match="another folder"):
        list(provider.changes(head))


def test_a_position_of_another_source_path_is_refused(filled):
    head = filled.provider("media").head()
    for act in (lambda one: one.probe(head), lambda one: list(one.changes(head))):
        with pytest.raises(CursorExpired, match="another source path"):
            act(filled.provider("other"))


@pytest.mark.parametrize("text", ["", "1", "1[]", '1["feed"]', "2!!!", "2eJw=", "nonsense \x00", "1null"])
def test_text_that_is_no_position_is_refused(filled, text):
    with pytest.raises(CursorExpired):
        list(filled.provider().changes(Cursor(text)))
