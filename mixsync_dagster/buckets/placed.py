"""Which bytes belong to objects that were put but may not be in the catalog yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mixsync_dagster.model.objects import Draft

_MOST_OBJECTS = 20_000
"""Twice what one commit covers at most, so that nothing is forgotten before the catalog tells it."""


def contents_of(draft: Draft) -> frozenset[str]:
    """Return the sha256 of every blob of a draft that has bytes: empty content belongs to nobody."""
    return frozenset([blob.sha256 for blob in draft.blobs if blob.size_bytes])


class PlacedContents:
    """What the latest puts of one bucket instance gave to which object. Not safe for threads.

    One commit covers several puts, so an object may own bytes, or have given them up, before the catalog tells it.
    """

    def __init__(self) -> None:
        self._contents: dict[str, frozenset[str]] = {}
        self._owners: dict[str, str] = {}

    def remember(self, object_id: str, contents: frozenset[str]) -> None:
        """Take note that an object has these contents now and no others."""
        self.forget(object_id)
        self._contents[object_id] = contents
        for sha256 in contents:
            self._owners.setdefault(sha256, object_id)
        if len(self._contents) > _MOST_OBJECTS:
            self.forget(next(iter(self._contents)))

    def owner_of(self, sha256: str) -> str | None:
        """Return the object that was given this content, None when none was."""
        return self._owners.get(sha256)

    def still_owns(self, object_id: str, sha256: str, incoming: Mapping[str, frozenset[str]]) -> bool:
        """Return whether an object that has the content by the catalog keeps it.

        `incoming` are the contents of objects that are about to be replaced.
        """
        contents = incoming.get(object_id, self._contents.get(object_id))
        return contents is None or sha256 in contents

    def forget(self, object_id: str) -> None:
        """Take back what was noted of an object."""
        for sha256 in self._contents.pop(object_id, ()):
            if self._owners.get(sha256) == object_id:
                del self._owners[sha256]
