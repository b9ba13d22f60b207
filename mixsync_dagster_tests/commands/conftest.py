import json
import logging
import socket
from dataclasses import dataclass

import pytest

from mixsync_dagster import cli
from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.demo.source import BUCKET, s3_server
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.control.support import VARIABLES, applied
from mixsync_dagster_tests.support.s3_servers import (  # noqa: F401 - fixtures are found by being here
    lying_server,
    seaweedfs_bucket,
    seaweedfs_server,
)

LIVE = """\
connections:
  local-s3:
    provider_type: s3
    provider_config:
      endpoint_url: {endpoint_url}
      dialect: minio
      credentials: {{type: access_key, access_key_id: {{env: MEDIA_KEY}}, secret_access_key: {{env: MEDIA_SECRET}}}}
buckets:
  bkt_live:
syncs:
  live:
    bucket_id: bkt_live
    connection_id: local-s3
    source_path: {source_path}
    schema_mapping:
      mappings:
        content: {{target_type: blob, source: {{type: file}}}}
        owner: {{target_type: field, source: {{type: metadata, key: owner}}, required: {required}}}
"""


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture(autouse=True)
def _restored():
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture
def bare_home(tmp_path, monkeypatch):
    """A home that is not initialised."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("MIXSYNC_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def home(bare_home):
    """A home with an empty state store."""
    Services.init(Settings.load())
    return bare_home


@pytest.fixture
def mixsync(capsys):
    """Run one command in this process."""

    def run(*arguments):
        status = cli.run(list(arguments))
        captured = capsys.readouterr()
        return Done(status, captured.out, captured.err)

    return run


@pytest.fixture
def media(home):
    """The definitions of a sync whose storage does not answer."""
    with Services.open() as services:
        applied(services)


@pytest.fixture(scope="session")
def source():
    """An S3-protocol server with three files, one of them without the metadata `owner`."""
    with s3_server() as running:
        running.put(Sample("folder/a.txt", b"alpha", "text/plain", metadata={"owner": "ana"}))
        running.put(Sample("folder/b [x].txt", b"beta", "text/plain", metadata={"owner": "ben"}))
        running.put(Sample("other/c.txt", b"gamma", "text/plain"))
        yield running


@pytest.fixture
def live(home, source):
    """Define a sync of the server's bucket, or of a part of it."""

    def define(source_path=BUCKET, *, required="false"):
        text = LIVE.format(endpoint_url=source.endpoint_url, source_path=source_path, required=required)
        with Services.open() as services:
            applied(services, text)

    return define


@pytest.fixture
def many(source):
    """200 more files at the server, in a folder of their own, until the test ends."""
    keys = [f"many/{number:03}.txt" for number in range(200)]
    for key in keys:
        source.put(Sample(key, f"content of {key}".encode(), "text/plain"))
    yield f"{BUCKET}/many"
    for key in keys:
        source.delete(key)


@pytest.fixture
def silent_endpoint():
    """An address that takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
