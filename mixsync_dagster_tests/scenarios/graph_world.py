"""SharePoint: the default library of the tenant's root site, at the simulator."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import Any

from mixsync_dagster.testing.graph_simulator import GraphSimulator
from mixsync_dagster_tests.scenarios.worlds import PAGE_ROWS, WAIT_SECONDS, Item, World

_SIGN_IN = ("discovery", "token")


class GraphWorld(World):
    """Files of one library below the folder of the scope."""

    provider = "sharepoint"
    quiet_requests = MappingProxyType({"delta": 1})

    def __init__(self) -> None:
        super().__init__()
        self.graph = GraphSimulator(page_size=PAGE_ROWS)
        self._library = self.graph.default_library

    def close(self) -> None:
        self.graph.close()

    def connection(self) -> dict[str, Any]:
        return self.graph.provider_config(site_id="root")

    def team_source(self) -> dict[str, str]:
        return {"type": "sharepoint_column", "key": "Team"}

    def identity(self, path: str) -> str:
        entry = self._library.find(path)
        assert entry is not None, path
        return f"{self._library.id}!{entry.id}"

    def break_item(self, path: str) -> str:
        self._put(path, self.items[path], bytes=b"not what was listed")
        return "checksum_mismatch"

    def heal_item(self, path: str) -> None:
        self._put(path, self.items[path])

    def throttle(self) -> None:
        for kind, status in (("delta", 429), ("download", 503)):
            self.graph.faults.add(kind, status=status, headers={"Retry-After": str(WAIT_SECONDS)})

    def expire_token(self) -> None:
        self.graph.faults.add("item", before=self.graph.sign_in.revoke)

    def renew_credentials(self) -> None:
        raise NotImplementedError("a run signs in by itself")

    def refuse_position(self) -> None:
        self.graph.expired_before = self._library.sequence + 1

    def requests(self) -> dict[str, int]:
        made = Counter(request.kind for request in self.graph.requests if request.kind not in _SIGN_IN)
        return dict(made)

    def reads(self) -> int:
        return self.graph.count("download")

    def forget(self) -> None:
        self.graph.forget_requests()

    def move_folder(self, path: str, to: str) -> None:
        self._library.move(path, to)
        self._rename_below(path, to)

    def _put(self, path: str, item: Item, **told: Any) -> None:
        self._library.put(path, item.content, columns={} if item.team is None else {"Team": item.team}, **told)

    def _move(self, path: str, to: str) -> None:
        self._library.move(path, to)

    def _remove(self, path: str) -> None:
        self._library.delete(path)
