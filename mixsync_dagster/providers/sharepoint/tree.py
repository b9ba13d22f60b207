"""The folders of a library by id, from which paths are made: a delta names no paths, and a rename no descendants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mixsync_dagster.providers.sharepoint.delta import is_root

_DEEPEST = 1_000


@dataclass(frozen=True, slots=True)
class FolderNode:
    """A folder's name and parent; both empty for the root."""

    name: str
    parent_id: str


ROOT = FolderNode("", "")


class FolderLost(Exception):
    """A folder on the way up cannot be read: it is gone, or not for these credentials. `gone` tells which."""

    def __init__(self, folder_id: str, *, gone: bool) -> None:
        super().__init__(folder_id)
        self.gone = gone


class FolderTree:
    """Folders seen so far; asks `look_up` for the others. Not for several threads at once.

    Memory is that of the library's folders, not of its files. `look_up` returns the entry of a folder by its id and
    raises FolderLost. `placed` are paths by id that are known already: what is above of them is not asked for.
    """

    def __init__(self, look_up: Callable[[str], dict[str, Any]], placed: Mapping[str, str] | None = None) -> None:
        self._look_up = look_up
        self._placed = placed or {}
        self._nodes: dict[str, FolderNode] = {}
        self._paths: dict[str, str] = {}

    def note(self, entry: dict[str, Any]) -> None:
        """Learn a folder from its entry; a new name or parent makes every path be put together anew."""
        node = ROOT if is_root(entry) else FolderNode(str(entry.get("name") or ""), parent_of(entry))
        known = self._nodes.get(entry["id"])
        if known != node:
            self._nodes[entry["id"]] = node
            if known is not None:
                self._paths.clear()
        reference = entry.get("parentReference") or {}
        # "/drives/<id>/root:" is the root itself; longer paths are not used, for it is not said how they are encoded.
        if node is not ROOT and node.parent_id and str(reference.get("path") or "").endswith("root:"):
            self._nodes.setdefault(node.parent_id, ROOT)

    def path_of(self, folder_id: str) -> str:
        """Return a folder's path below the library's root, ending in "/"; empty for the root. Raises FolderLost."""
        path = self._paths.get(folder_id)
        if path is None:
            path = self._paths[folder_id] = self._found_path(folder_id)
        return path

    def _found_path(self, folder_id: str) -> str:
        names: list[str] = []
        at = folder_id
        for _ in range(_DEEPEST):
            if at in self._placed:
                return self._placed[at] + "".join(f"{name}/" for name in reversed(names))
            node = self._nodes.get(at)
            if node is None:
                self.note(self._look_up(at))
                node = self._nodes[at]
            if node == ROOT:
                return "".join(f"{name}/" for name in reversed(names))
            names.append(node.name)
            at = node.parent_id
            if not at:
                break
        raise FolderLost(folder_id, gone=False)


def parent_of(entry: dict[str, Any]) -> str:
    """Return the id of the folder that holds an entry; empty when the entry does not tell."""
    return str((entry.get("parentReference") or {}).get("id") or "")
