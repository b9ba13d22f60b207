"""A home with a bucket and a connection, on a state store in a temporary folder; Dagster's instance is ephemeral."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mixsync_dagster.control.definitions import apply_definitions
from mixsync_dagster.control.yaml_files import load_text
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services, offered
from mixsync_dagster_tests.support.s3_servers import (
    ACCESS_KEY,
    SECRET_KEY,
    S3Server,
    TestBucket,
    moto_bucket,
    moto_server,
)

__all__ = ["moto_bucket", "moto_server"]

NOWHERE = "http://127.0.0.1:9"
"""An endpoint at which nothing listens."""

_BASE = """
connections:
  media-s3:
    provider_type: s3
    provider_config:
      region: us-east-1
      endpoint_url: {endpoint}
      use_ssl: false
      credentials: {{type: access_key, access_key_id: {access_key}, secret_access_key: {secret_key}}}
buckets:
  bkt_media: {{description: Media library}}
"""


class Home:
    """A home folder and what is done to it from outside."""

    def __init__(self, path: Path, endpoint: str) -> None:
        self.path = path
        self._base = _BASE.format(endpoint=endpoint, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        self.settings = Settings.load({"MIXSYNC_HOME": str(path)})
        Services.init(self.settings)
        self.mixsync = MixsyncServices(home=str(path))

    def add(self, name: str = "videos", **fields: Any) -> str:
        """Apply a sync and return its id."""
        given = {"bucket_id": "bkt_media", "connection_id": "media-s3", "source_path": "media/videos", **fields}
        lines = "\n".join(f"    {key}: {value}" for key, value in given.items())
        apply_definitions(
            self.mixsync.store,
            load_text(f"{self._base}syncs:\n  {name}:\n{lines}\n"),
            offered=offered(),
            lookup=lambda _name: None,
            clock=self.mixsync.services.clock,
        )
        return self.mixsync.store.get_sync(name).sync_config_id


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the settings of whoever runs it."""
    for name in list(os.environ):
        if name.startswith(("MIXSYNC_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MIXSYNC_HOME", str(tmp_path / "unset"))


@pytest.fixture
def make_home(tmp_path: Path) -> Iterator[Callable[..., Home]]:
    """Make homes whose connection leads to an endpoint."""
    homes: list[Home] = []

    def make(endpoint: str = NOWHERE) -> Home:
        homes.append(Home(tmp_path / f"home-{len(homes)}", endpoint))
        return homes[-1]

    yield make
    for home in homes:
        home.mixsync.close()


@pytest.fixture
def home(make_home: Callable[..., Home]) -> Home:
    """A home whose connection leads nowhere."""
    return make_home()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def live_home(make_home: Callable[..., Home], moto_server: S3Server) -> Home:
    """A home whose connection leads to a running S3 server."""
    return make_home(moto_server.endpoint_url)


@pytest.fixture
def source(moto_bucket: TestBucket) -> TestBucket:
    """A storage bucket with three files."""
    for name in ("a.mp4", "b.mp4", "notes.txt"):
        moto_bucket.put(f"videos/{name}", f"content of {name}".encode())
    return moto_bucket
