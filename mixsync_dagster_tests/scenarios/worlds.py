"""What a scenario does to a source, whichever provider reads it, and what the bucket must then hold."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, ClassVar

SCOPE = "in"
"""The folder that is synced; what lies elsewhere is none of the sync's business."""
PAGE_ROWS = 7
"""Entries of a page of a listing or log, where the server lets that be chosen: enough for a pass without change."""
WAIT_SECONDS = 1
"""How long a throttled client is asked to wait."""


@dataclass(frozen=True)
class Held:
    """What stands for one item in the bucket: an object's path, fields and bytes."""

    path: str
    fields: Mapping[str, Any]
    sha256: str


@dataclass
class Item:
    """What one item of the source is made of."""

    content: bytes
    team: str | None = None


class World(ABC):
    """One source of a provider: a small set of items by paths, and the faults that can befall it."""

    provider: ClassVar[str]
    lacks: ClassVar[Mapping[str, str]] = MappingProxyType({})
    """Scenarios that mean nothing here, each with the reason."""
    keeps_identity: ClassVar[bool] = True
    """Whether an item that was renamed or moved is the same item; else the old one is gone and a new one is there."""
    renamed: ClassVar[Sequence[Mapping[str, int]]] = ({"moved": 1},)
    """What the runs do that follow an item's renaming, until nothing is left to do."""
    moved: ClassVar[Sequence[Mapping[str, int]]] = ({"created": 1, "moved": 1, "removed": 1},)
    """The same for three items: one that moved inside of the scope, one out of it, and one into it."""
    folder_renamed: ClassVar[Sequence[Mapping[str, int]]] = ({"moved": 2},)
    """The same for a folder of two items."""
    relabelled: ClassVar[Mapping[str, int]] = MappingProxyType({"moved": 1})
    """What a run does when an item's team alone has changed: without reading bytes where that is called moving."""
    tells_throttling: ClassVar[bool] = True
    """Whether a run is told of every refusal; else the vendor's own client repeats some requests by itself."""
    renews_sign_in: ClassVar[bool] = True
    """Whether a run signs in anew when its token has expired; else it fails, and a person gives another one."""
    following: ClassVar[Sequence[str]] = ()
    """Options of a run that is to see also what is gone; without any, every run sees it."""
    has_folders: ClassVar[bool] = True
    quiet_requests: ClassVar[Mapping[str, int]]
    """What a pass without change asks for, by kind of request; the sign-in is left out."""
    source_path: str = f"/{SCOPE}"

    def __init__(self) -> None:
        self.items: dict[str, Item] = {}
        self.environment: dict[str, str] = {}
        """Variables that the connection's credentials refer to, or that reaching the source needs."""

    def put(self, path: str, content: bytes, team: str | None = None) -> None:
        """Write an item, or write over it; `team` is an attribute that the sync's mapping makes a field of."""
        self.items[path] = Item(content, team)
        self._put(path, self.items[path])

    def move(self, path: str, to: str) -> None:
        """Give an item another path."""
        self.items[to] = self.items.pop(path)
        self._move(path, to)

    def move_folder(self, path: str, to: str) -> None:
        """Give a folder another name or place, with everything in it."""
        for below in [one for one in self.items if one.startswith(f"{path}/")]:
            self.move(below, to + below.removeprefix(path))

    def _rename_below(self, path: str, to: str) -> None:
        for below in [one for one in self.items if one.startswith(f"{path}/")]:
            self.items[to + below.removeprefix(path)] = self.items.pop(below)

    def remove(self, path: str) -> None:
        """Take an item away."""
        del self.items[path]
        self._remove(path)

    def expected(self, without: frozenset[str] = frozenset()) -> dict[str, Held]:
        """Return what the bucket must hold, by source object id; `without` names paths that are to have no object."""
        wanted = {path: item for path, item in self.items.items() if path.startswith(f"{SCOPE}/")}
        return {
            self.identity(path): Held(path, self._fields(path, item), hashlib.sha256(item.content).hexdigest())
            for path, item in wanted.items()
            if path not in without
        }

    def _fields(self, path: str, item: Item) -> dict[str, Any]:
        fields: dict[str, Any] = {} if item.team is None else {"team": item.team}
        if self.has_folders:
            fields["folder"] = PurePosixPath(path).parent.name
        return fields

    def mapping(self) -> dict[str, Any]:
        """Return the sync's schema_mapping."""
        made = {
            "content": {"target_type": "blob", "source": {"type": "file"}},
            "team": {"target_type": "field", "source": self.team_source()},
        }
        if self.has_folders:
            made["folder"] = {"target_type": "field", "source": {"type": "folder_path"}}
        return {"mappings": made}

    @property
    def team_name(self) -> str:
        """What an item's team is called at the provider."""
        return next(value for name, value in self.team_source().items() if name != "type")

    def settings(self) -> dict[str, Any]:
        """Return what else the sync is defined with."""
        return {}

    @abstractmethod
    def close(self) -> None:
        """Let go of what this world alone uses."""

    @abstractmethod
    def connection(self) -> dict[str, Any]:
        """Return the provider_config."""

    @abstractmethod
    def team_source(self) -> dict[str, str]:
        """Return where the mapping finds an item's team."""

    @abstractmethod
    def identity(self, path: str) -> str:
        """Return the source object id of an item that is there."""

    @abstractmethod
    def break_item(self, path: str) -> str:
        """Let an item that is there fail when it is read, and return the reason class of its dead letter."""

    @abstractmethod
    def heal_item(self, path: str) -> None:
        """Let it be read again; the item itself may be written anew for that."""

    @abstractmethod
    def throttle(self) -> None:
        """Ask the client to slow down: one request that finds items, and one that reads content."""

    @abstractmethod
    def expire_token(self) -> None:
        """Take no token or key that was given so far when the next content is read."""

    @abstractmethod
    def renew_credentials(self) -> None:
        """Give the connection another token or key; only where a run cannot do that itself."""

    def refuse_position(self) -> None:
        """Refuse the position that the client remembers, once."""
        raise NotImplementedError(self.lacks["refused position"])

    @abstractmethod
    def requests(self) -> dict[str, int]:
        """Return how many requests came since `forget`, by kind; the sign-in is left out."""

    @abstractmethod
    def reads(self) -> int:
        """Return how often an item's content was asked for since `forget`."""

    @abstractmethod
    def forget(self) -> None:
        """Start counting anew."""

    @abstractmethod
    def _put(self, path: str, item: Item) -> None: ...

    @abstractmethod
    def _move(self, path: str, to: str) -> None: ...

    @abstractmethod
    def _remove(self, path: str) -> None: ...
