"""The folders of a scope, rebuilt here from their ids: files tell their parents, never their path."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from mixsync_dagster.providers.google_drive.drive import FOLDERS, PRESENT, Drive, quoted
from mixsync_dagster.providers.google_drive.exports import FOLDER, SHORTCUT
from mixsync_dagster.providers.google_drive.items import clean
from mixsync_dagster.providers.google_drive.scope import Scope

_THREADS = 8


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder as far as the tree needs it."""

    name: str
    parents: tuple[str, ...]
    drive_id: str | None


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A file that stands for another one."""

    shortcut_id: str
    name: str
    parents: tuple[str, ...]
    target_id: str
    target_is_folder: bool
    resource_key: str | None


class Tree:
    """Folders and shortcuts by id, and the paths that follow from them; one thread uses it.

    Shortcuts in the scope make their targets part of it: a folder with all that it holds, or one file. What lies in the
    scope itself keeps its own place, and of several shortcuts to one target the first by path counts, so that every
    file has one path and circles of shortcuts end.
    """

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.folders: dict[str, Folder] = {}
        self.shortcuts: dict[str, Shortcut] = {}
        self.roots: dict[str, str] = {scope.root_id: scope.root}
        """What paths begin with below the scope's folder and below folders that shortcuts lead to."""
        self.alias_files: dict[str, tuple[str, Shortcut]] = {}
        """Files outside of the scope that shortcuts lead to: the shortcut's path, and the shortcut."""
        self.targets: dict[str, Mapping[str, Any] | None] = {}
        """What `alias_files` lead to, where it was looked up; None for what is not to be seen."""
        self.foreign: set[str] = set()
        """Folders in the scope that a listing of the scope's drive does not go through."""
        self.broken: dict[str, Shortcut] = {}
        """Shortcuts whose target folder is not to be seen."""
        self._paths: dict[str, str | None] = {}

    def learn(self, file: Mapping[str, Any]) -> None:
        """Take in a folder or shortcut as the API tells it now; it may be known in an earlier state."""
        file_id = str(file["id"])
        parents = tuple(file.get("parents") or ())
        name = str(file.get("name", ""))
        if file.get("mimeType") == FOLDER:
            self.folders[file_id] = Folder(name, parents, file.get("driveId"))
        elif file.get("mimeType") == SHORTCUT:
            details = file.get("shortcutDetails") or {}
            target = details.get("targetId")
            if target:
                is_folder = details.get("targetMimeType") == FOLDER
                key = details.get("targetResourceKey")
                self.shortcuts[file_id] = Shortcut(file_id, name, parents, str(target), is_folder, key)
        self._paths.clear()

    def forget(self, folder_id: str) -> None:
        """Take out a folder that is gone."""
        self.folders.pop(folder_id, None)
        self._paths.clear()

    def add_root(self, folder_id: str, path: str) -> None:
        """Make a folder, with all that it holds, part of the scope under another path."""
        self.roots[folder_id] = path
        self._paths.clear()

    def path_of(self, folder_id: str) -> str | None:
        """Return what the paths of a folder's files begin with; None when it is outside of the scope."""
        known = self._paths.get(folder_id, "?")
        if known != "?":
            return known
        # Set first, so that folders that hold each other end the search.
        self._paths[folder_id] = None
        path = self.roots.get(folder_id)
        if path is None and (folder := self.folders.get(folder_id)) is not None:
            above = self.place(folder.parents)
            path = None if above is None else f"{above}{clean(folder.name)}/"
        self._paths[folder_id] = path
        return path

    def place(self, parents: Sequence[str]) -> str | None:
        """Return what the path of something in these folders begins with; of several the first in order."""
        if len(parents) == 1:
            return self.path_of(parents[0])
        paths = [path for parent in parents if (path := self.path_of(parent)) is not None]
        return min(paths) if paths else None

    def path_of_file(self, file: Mapping[str, Any]) -> str | None:
        """Return a file's path, of an alias when nothing else leads to it; None when it is outside of the scope."""
        folder = self.place(file.get("parents") or ())
        if folder is not None:
            return folder + clean(str(file.get("name", "")))
        alias = self.alias_files.get(str(file.get("id")))
        return None if alias is None else alias[0]

    def in_scope(self) -> Iterator[str]:
        """Yield the ids of all folders of the scope, its roots included."""
        yield from self.roots
        for folder_id in self.folders:
            if folder_id not in self.roots and self.path_of(folder_id) is not None:
                yield folder_id

    def drive_of(self, folder_id: str) -> str | None:
        """Return the shared drive of a folder of the scope."""
        folder = self.folders.get(folder_id)
        return self.scope.drive_id if folder is None else folder.drive_id

    def shortcuts_in_scope(self) -> list[tuple[str, Shortcut]]:
        """Return the shortcuts that lie in the scope with their paths, in the order of these."""
        found = [
            (above + clean(shortcut.name), shortcut)
            for shortcut in self.shortcuts.values()
            if (above := self.place(shortcut.parents)) is not None
        ]
        return sorted(found, key=lambda one: (one[0], one[1].shortcut_id))


def load_tree(drive: Drive, scope: Scope, *, look_up: bool = True) -> Tree:
    """Return the tree as it is now: a listing of all folders of the drive, and a walk through what lies elsewhere.

    `look_up` fetches the files that shortcuts lead to as well.
    """
    tree = Tree(scope)
    for file in drive.all(f"{FOLDERS} and {PRESENT}", scope.drive_id):
        tree.learn(file)
    if scope.apart or (scope.root and scope.root_id not in tree.folders):
        # A folder that is open to everybody with its link is in nobody's listing; what lies in a folder of a drive that
        # the account is no member of may be in none either.
        walk(drive, tree, scope.root_id, scope.drive_id)
    if drive.settings.follow_shortcuts:
        _follow(drive, tree)
        if look_up and tree.alias_files:
            _look_up(drive, tree)
    return tree


def _look_up(drive: Drive, tree: Tree) -> None:
    aliases = [shortcut for _, shortcut in tree.alias_files.values()]
    with ThreadPoolExecutor(min(_THREADS, len(aliases)), thread_name_prefix="shortcuts") as pool:
        files = pool.map(lambda one: drive.file(one.target_id, one.resource_key), aliases)
        tree.targets = {one.target_id: file for one, file in zip(aliases, files, strict=True)}


def walk(drive: Drive, tree: Tree, folder_id: str, drive_id: str | None) -> None:
    """Take in the folders below one that the drive's own listing does not go through, one request each."""
    waiting = deque([folder_id])
    while waiting:
        at = waiting.popleft()
        if at in tree.foreign:
            continue
        tree.foreign.add(at)
        for file in drive.all(f"{quoted(at)} in parents and {FOLDERS} and {PRESENT}", drive_id):
            tree.learn(file)
            if file.get("mimeType") == FOLDER:
                waiting.append(str(file["id"]))


def _follow(drive: Drive, tree: Tree) -> None:
    followed: set[str] = set()
    while True:
        new = [one for one in tree.shortcuts_in_scope() if one[1].shortcut_id not in followed]
        if not new:
            return
        for path, shortcut in new:
            followed.add(shortcut.shortcut_id)
            if not shortcut.target_is_folder:
                tree.alias_files.setdefault(shortcut.target_id, (path, shortcut))
            elif tree.path_of(shortcut.target_id) is None:
                _enter(drive, tree, path, shortcut)


def _enter(drive: Drive, tree: Tree, path: str, shortcut: Shortcut) -> None:
    """Make a folder that a shortcut leads to part of the scope."""
    target = shortcut.target_id
    folder = tree.folders.get(target)
    if folder is None:
        file = drive.file(target, shortcut.resource_key)
        if file is None or file.get("trashed") or file.get("mimeType") != FOLDER:
            tree.broken[shortcut.shortcut_id] = shortcut
            return
        tree.learn(file)
        folder = tree.folders[target]
        walk(drive, tree, target, folder.drive_id)
    elif folder.drive_id != tree.scope.drive_id:
        # The account's own corpus names single folders of other drives, and not all that they hold.
        walk(drive, tree, target, folder.drive_id)
    tree.add_root(target, path + "/")
