"""Simulated Drives, and providers that read them."""

from dataclasses import dataclass, field

import pytest

from mixsync_dagster.model.items import items_of
from mixsync_dagster.model.paths import parse_drive_path
from mixsync_dagster.providers.google_drive.provider import GoogleDriveProvider
from mixsync_dagster.providers.google_drive.settings import DriveSettings
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.drive_simulator import MY_DRIVE, DriveSimulator


@dataclass
class DriveWorld:
    """A simulated Drive, filled by paths below one of its folders."""

    server: DriveSimulator
    base: str = MY_DRIVE
    shared_drive_id: str | None = None
    page_rows: int = 5
    settings: dict = field(default_factory=dict)
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    opened: list = field(default_factory=list)

    def provider(self, folder="", **changes):
        values = {
            "place": parse_drive_path(folder if folder.startswith(("file-", "0A")) else "/" + folder),
            "account": self.server.service_account(),
            "shared_drive_id": self.shared_drive_id,
            "api_endpoint": self.server.api_endpoint,
            "page_rows": self.page_rows,
        }
        provider = GoogleDriveProvider(DriveSettings(**{**values, **self.settings, **changes}), self.clock)
        self.opened.append(provider)
        return provider

    def put(self, path, content, *, tags=None, metadata=None, properties=None):
        *folders, name = path.split("/")
        parent = self.folder("/".join(folders))
        file_id = self.id_of(name, parent)
        if file_id is None:
            return self.files.add(name, parent, content=content, properties=dict(properties or {}))
        self.files.write(file_id, content)
        self.files.update(file_id, properties=dict(properties or {}))
        return file_id

    def folder(self, path):
        """Return the id of a folder, made where it is missing."""
        at = self.base
        for name in filter(None, path.split("/")):
            at = self.id_of(name, at) or self.files.add_folder(name, at)
        return at

    def find(self, path):
        *folders, name = path.split("/")
        return self.id_of(name, self.folder("/".join(folders)))

    def id_of(self, name, parent):
        found = [one.file_id for one in self.files.files.values() if one.name == name and parent in one.parents]
        return found[0] if found else None

    def delete(self, path):
        self.files.delete(self.find(path))

    @property
    def files(self):
        return self.server.files


def paths(provider, after=None):
    """Return the listed paths, sorted."""
    return sorted(item.path for page in provider.list_pages(after) for item in items_of(page.items))


def items(provider):
    """Return the listed items by path."""
    return {item.path: item for page in provider.list_pages() for item in items_of(page.items)}


def changed(provider, after):
    """Return what a feed tells: paths that are there, ids that are gone, the position after both."""
    there, gone = {}, set()
    for page in provider.changes(after):
        for item in items_of(page.items):
            there[item.source_object_id] = item.path
            gone.discard(item.source_object_id)
        for one in page.removed:
            there.pop(one, None)
            gone.add(one)
    assert page.caught_up
    return sorted(there.values()), gone, page.cursor


@pytest.fixture
def server():
    with DriveSimulator() as server:
        yield server


@pytest.fixture
def world(server):
    world = DriveWorld(server)
    yield world
    for provider in world.opened:
        provider.close()


@pytest.fixture
def shared_world(server):
    """A shared drive, listed folder by folder as long as there are few of them."""
    drive_id = server.files.add_drive("Team")
    world = DriveWorld(server, drive_id, drive_id)
    yield world
    for provider in world.opened:
        provider.close()


@pytest.fixture
def whole_world(world):
    """My Drive, always listed by going through the whole of it."""
    world.settings["few_folders"] = 0
    return world
