import pytest

from mixsync_dagster.providers.sharepoint.tree import FolderLost, FolderTree


def folder(identifier, name, parent, path=None):
    reference = {"id": parent} if path is None else {"id": parent, "path": path}
    return {"id": identifier, "name": name, "folder": {}, "parentReference": reference}


ROOT = {"id": "root", "name": "root", "folder": {}, "root": {}, "parentReference": {}}


def never(folder_id):
    raise AssertionError(folder_id)


def test_a_new_name_above_is_seen_in_every_path_below():
    tree = FolderTree(never)
    for entry in (folder("b", "B", "a"), folder("a", "A", "root"), ROOT):
        tree.note(entry)
    assert tree.path_of("b") == "A/B/"
    tree.note(folder("a", "A2", "root"))
    assert tree.path_of("b") == "A2/B/"
    tree.note(folder("b", "B", "root"))
    assert tree.path_of("b") == "B/"


def test_unknown_folders_are_asked_for_up_to_the_root_and_once():
    asked = []
    above = {"b": folder("b", "B", "a"), "a": folder("a", "A", "root", "/drives/b!x/root:")}

    def look_up(folder_id):
        asked.append(folder_id)
        return above[folder_id]

    tree = FolderTree(look_up)
    assert (tree.path_of("b"), tree.path_of("a"), tree.path_of("b")) == ("A/B/", "A/", "A/B/")
    assert asked == ["b", "a"]


@pytest.mark.parametrize("entries", [[folder("a", "A", "b"), folder("b", "B", "a")], [folder("a", "A", "")]])
def test_folders_that_lead_to_no_root_have_no_path(entries):
    tree = FolderTree(never)
    for entry in entries:
        tree.note(entry)
    with pytest.raises(FolderLost):
        tree.path_of("a")
