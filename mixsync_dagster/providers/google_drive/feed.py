"""Drive's log of changes as a change feed: the account's own log, or a shared drive's, and those of drives it leads to.

Every log tells files as they are now, and of what is gone the id alone. Tokens do not expire. A folder that moves is
told without its files: what it holds is looked up here. What is shared with the account out of a drive that it is no
member of is assumed to be told by the account's own log; the periodic full listing finds what is not.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from mixsync_dagster.errors import AccessDenied, CursorExpired, PathNotFound, ProviderUnavailable
from mixsync_dagster.model.items import empty_items
from mixsync_dagster.ports.provider import ChangePage, Cursor, Probe
from mixsync_dagster.providers.google_drive.drive import PRESENT, Drive, quoted
from mixsync_dagster.providers.google_drive.exports import FOLDER, SHORTCUT
from mixsync_dagster.providers.google_drive.items import Placed, table_of
from mixsync_dagster.providers.google_drive.marks import Marks
from mixsync_dagster.providers.google_drive.positions import Position, name_mark, position_of
from mixsync_dagster.providers.google_drive.scope import find_scope
from mixsync_dagster.providers.google_drive.tree import Folder, Shortcut, Tree, load_tree


def head_of(drive: Drive) -> tuple[Position, Tree]:
    """Return the present end of all logs that the scope depends on, and the tree as it was just after.

    The first token is taken before the tree is looked at, so that no change falls between the two.
    """
    scope = find_scope(drive)
    logs = [(scope.drive_id, drive.start_token(scope.drive_id))]
    tree = load_tree(drive, scope)
    others = _drives_beyond(drive, tree)
    logs += [(drive_id, drive.start_token(drive_id)) for drive_id in sorted(others, key=lambda one: one or "")]
    if others:
        # Once more, for what came to pass in those drives before their tokens were taken.
        tree = load_tree(drive, scope)
    return Position(scope.root_id, name_mark(scope.name), tuple(logs), marks_of(tree).text()), tree


def _drives_beyond(drive: Drive, tree: Tree) -> set[str | None]:
    """Return the drives other than the scope's own that shortcuts lead to; None is the account's own log."""
    drives = {tree.drive_of(folder_id) for folder_id in tree.in_scope() if folder_id in tree.foreign}
    drives |= {file.get("driveId") for file in tree.targets.values() if file is not None}
    return {drive.corpus_of(drive_id) for drive_id in drives} - {tree.scope.drive_id}


def marks_of(tree: Tree) -> Marks:
    """Return the marks of the tree's folders, and of the shortcuts in the scope."""
    states = [(folder_id, _state(folder_id, tree.folders.get(folder_id))) for folder_id in tree.in_scope()]
    states += [(one.shortcut_id, _state(one.shortcut_id, one)) for _, one in tree.shortcuts_in_scope()]
    return Marks.of(states)


def _state(file_id: str, known: Folder | Shortcut | None) -> str:
    if known is None:
        return f"{file_id}\0"
    target = known.target_id if isinstance(known, Shortcut) else ""
    return "\0".join((file_id, known.name, ",".join(sorted(known.parents)), target))


def probe(drive: Drive, after: Cursor) -> Probe:
    """Return whether a log goes on, by one request for each of them."""
    position = position_of(after, drive.settings)
    for number, (drive_id, token) in enumerate(position.logs):
        with _log_of(number):
            if drive.any_change(token, drive_id):
                return Probe.CHANGED
    return Probe.NOTHING_NEW


@contextmanager
def _log_of(number: int) -> Iterator[None]:
    """Take a refusal for the end of the position, where it is about a drive that only a shortcut leads to."""
    try:
        yield
    except (AccessDenied, PathNotFound):
        if number == 0:
            raise
        raise CursorExpired("A drive that a shortcut leads to is no longer to be seen.") from None


def changes_after(drive: Drive, after: Cursor) -> Iterator[ChangePage]:
    """Yield what changed in the scope, one page of a log at a time; without change, one request for each log.

    Raises CursorExpired when a position is refused, and when a change cannot be told without listing everything again:
    a folder that is gone for good or for this account, a shortcut that came or went, a folder of very many folders.
    """
    position = position_of(after, drive.settings)
    changes = Changes(drive, position)
    for number, (drive_id, token) in enumerate(position.logs):
        on: str | None = token
        while on is not None:
            with _log_of(number):
                answer = drive.changes(on, drive_id)
            entries = answer.get("changes")
            on, ended = answer.get("nextPageToken"), answer.get("newStartPageToken")
            reached = on or ended
            if not isinstance(entries, list) or not isinstance(reached, str):
                raise ProviderUnavailable("Google Drive answered a question for changes without entries or position.")
            items, removed = changes.apply(entries)
            logs = (*position.logs[:number], (drive_id, reached), *position.logs[number + 1 :])
            position = replace(position, logs=logs, unsure=position.unsure or changes.entered)
            caught_up = on is None and number == len(position.logs) - 1
            if caught_up and changes.tree is not None:
                position = replace(position, marks=marks_of(changes.tree).text(), unsure=False)
            table = table_of(items, drive.settings.export_format) if items else empty_items()
            yield ChangePage(table, tuple(removed), position.cursor(drive.settings), caught_up=caught_up)


class Changes:
    """Turns entries of logs into items and ids that are gone. The tree is fetched when the first entry needs it."""

    def __init__(self, drive: Drive, position: Position) -> None:
        self._drive = drive
        self._position = position
        self._marks = Marks.read(position.marks) if position.marks else None
        self._found: dict[str, Placed | None] = {}
        self.tree: Tree | None = None
        self.entered = False
        """Whether a folder has come into the scope."""

    def apply(self, entries: Sequence[Mapping[str, Any]]) -> tuple[list[Placed], list[str]]:
        """Return the files that these entries leave in the scope, with their paths, and the ids that they take out."""
        self._found = {}
        for entry in entries:
            if entry.get("changeType") == "drive":
                continue  # a drive that is lost refuses its own log, and one that came holds nothing of the scope yet
            file = entry.get("file")
            if entry.get("removed") or not isinstance(file, dict):
                self._on_gone(str(entry.get("fileId")))
            elif file.get("mimeType") == FOLDER:
                self._on_folder(file)
            elif file.get("mimeType") == SHORTCUT:
                self._on_shortcut(file)
            else:
                self._on_file(file)
        items = [placed for placed in self._found.values() if placed is not None]
        return items, [file_id for file_id, placed in self._found.items() if placed is None]

    def _known_tree(self) -> Tree:
        if self.tree is None:
            scope = find_scope(self._drive)
            if scope.root_id != self._position.root_id:
                raise CursorExpired("The source path now names another folder.")
            self.tree = load_tree(self._drive, scope, look_up=False)
        return self.tree

    def _was_inside(self, file_id: str) -> bool:
        return self._marks is None or file_id in self._marks

    def _unchanged(self, state: str) -> bool:
        return self._marks is not None and self._marks.stateful and state in self._marks

    def _on_gone(self, file_id: str) -> None:
        known = self.tree is not None and file_id in self.tree.folders and self.tree.path_of(file_id) is not None
        if known or self._position.unsure or self._was_inside(file_id):
            raise CursorExpired("A folder of the scope may be gone, and nothing tells what it held.")
        self._put(file_id, None)

    def _on_file(self, file: Mapping[str, Any]) -> None:
        path = None if file.get("trashed") else self._known_tree().path_of_file(file)
        self._put(str(file["id"]), None if path is None else (file, path))

    def _on_shortcut(self, file: Mapping[str, Any]) -> None:
        if not self._drive.settings.follow_shortcuts:
            return
        tree, shortcut_id = self._known_tree(), str(file["id"])
        trashed = bool(file.get("trashed"))
        if not trashed:
            tree.learn(file)
            if self._unchanged(_state(shortcut_id, tree.shortcuts.get(shortcut_id))):
                return
        inside = not trashed and tree.place(file.get("parents") or ()) is not None
        if inside or self._was_inside(shortcut_id):
            raise CursorExpired("A shortcut came or went, and with it what it leads to.")

    def _on_folder(self, file: Mapping[str, Any]) -> None:
        tree, folder_id = self._known_tree(), str(file["id"])
        trashed = bool(file.get("trashed"))
        if folder_id == self._position.root_id:
            known = self._position.root_name
            if trashed or (known and name_mark(str(file.get("name", ""))) != known):
                raise CursorExpired("The folder of the source path was renamed or put into the trash.")
            return
        if trashed:
            tree.forget(folder_id)
        else:
            tree.learn(file)
        was = self._was_inside(folder_id)
        inside = not trashed and tree.path_of(folder_id) is not None
        if not was and not inside:
            return
        if inside and self._unchanged(_state(folder_id, tree.folders[folder_id])):
            return
        self.entered = self.entered or (inside and not was)
        for held in self._held(tree, folder_id, file.get("driveId"), trashed=trashed):
            self._on_file(held) if inside else self._put(str(held["id"]), None)

    def _held(self, tree: Tree, folder_id: str, drive_id: str | None, *, trashed: bool) -> Iterator[Mapping[str, Any]]:
        """Yield the files of a folder and of those in it, and let the tree know these."""
        waiting, seen = deque([folder_id]), {folder_id}
        while waiting:
            # What lies in a folder in the trash is itself said to be there.
            query = f"{quoted(waiting.popleft())} in parents" + ("" if trashed else f" and {PRESENT}")
            for file in self._drive.all(query, drive_id):
                mime_type, file_id = file.get("mimeType"), str(file["id"])
                if mime_type == SHORTCUT:
                    self._on_shortcut(file)
                elif mime_type != FOLDER:
                    yield file
                elif file_id not in seen:
                    seen.add(file_id)
                    waiting.append(file_id)
                    if not file.get("trashed"):
                        tree.learn(file)
            if len(seen) > self._drive.settings.walk_folders:
                raise CursorExpired("A folder of very many folders moved.")

    def _put(self, file_id: str, placed: Placed | None) -> None:
        # Taken out first: of several changes the last one counts, also for the order.
        self._found.pop(file_id, None)
        self._found[file_id] = placed
