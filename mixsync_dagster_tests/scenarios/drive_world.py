"""A Google Drive: My Drive of a service account, at the simulator."""

from __future__ import annotations

from collections import Counter
from types import MappingProxyType
from typing import Any

from mixsync_dagster.testing.drive_simulator import MY_DRIVE, DriveSimulator
from mixsync_dagster_tests.scenarios.worlds import PAGE_ROWS, WAIT_SECONDS, Item, World

_READS = ("files.media", "files.export", "files.download")


class DriveWorld(World):
    """Files of My Drive below the folder of the scope."""

    provider = "google_drive"
    quiet_requests = MappingProxyType({"changes.list": 1})

    def __init__(self) -> None:
        super().__init__()
        self.drive = DriveSimulator()
        self.drive.api.page_rows = PAGE_ROWS
        self._ids = {"": MY_DRIVE}

    def close(self) -> None:
        self.drive.close()

    def connection(self) -> dict[str, Any]:
        return {
            "provider_type": self.provider,
            "api_endpoint": self.drive.api_endpoint,
            "credentials": self.drive.service_account(),
        }

    def team_source(self) -> dict[str, str]:
        return {"type": "drive_property", "key": "team"}

    def identity(self, path: str) -> str:
        return self._ids[path]

    def break_item(self, path: str) -> str:
        self.drive.files.update(self._ids[path], can_download=False)
        return "download_forbidden"

    def heal_item(self, path: str) -> None:
        self.drive.files.update(self._ids[path], can_download=True)

    def throttle(self) -> None:
        for operation in ("changes.list", "files.media"):
            self.drive.fail(operation, status=403, reason="userRateLimitExceeded", retry_after=str(WAIT_SECONDS))

    def expire_token(self) -> None:
        self.drive.before("files.media", self.drive.sign_in.revoke)

    def renew_credentials(self) -> None:
        raise NotImplementedError("a run signs in by itself")

    def refuse_position(self) -> None:
        self.drive.fail("changes.list", status=400, reason="invalid", location="pageToken")

    def requests(self) -> dict[str, int]:
        made = Counter(operation for operation, _ in self.drive.requests if operation != "token")
        return dict(made)

    def reads(self) -> int:
        return self.drive.count(*_READS)

    def forget(self) -> None:
        self.drive.forget()

    def move_folder(self, path: str, to: str) -> None:
        self._move(path, to)
        for below in [one for one in self._ids if one.startswith(f"{path}/")]:
            self._ids[to + below.removeprefix(path)] = self._ids.pop(below)
        self._rename_below(path, to)

    def _put(self, path: str, item: Item) -> None:
        properties = {} if item.team is None else {"team": item.team}
        if path in self._ids:
            self.drive.files.files[self._ids[path]].app_properties = properties
            self.drive.files.write(self._ids[path], item.content)
            return
        folder, _, name = path.rpartition("/")
        parent = self._folder(folder)
        self._ids[path] = self.drive.files.add(name, parent, content=item.content, app_properties=properties)

    def _move(self, path: str, to: str) -> None:
        folder, _, name = to.rpartition("/")
        self._ids[to] = self._ids.pop(path)
        self.drive.files.update(self._ids[to], name=name, parents=[self._folder(folder)])

    def _remove(self, path: str) -> None:
        self.drive.files.update(self._ids.pop(path), trashed=True)

    def _folder(self, path: str) -> str:
        if path not in self._ids:
            above, _, name = path.rpartition("/")
            self._ids[path] = self.drive.files.add_folder(name, self._folder(above))
        return self._ids[path]
