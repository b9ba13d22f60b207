"""The API on a real socket, and tenants who use it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from mixsync_dagster.api.app import create_app
from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster.engine.run import run_sync
from mixsync_dagster.model.api_keys import Role
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services

MAPPING = {
    "mappings": {
        "content": {"target_type": "blob", "source": {"type": "file"}},
        "owner": {"target_type": "field", "source": {"type": "metadata", "key": "owner"}, "required": True},
    }
}
SECRET = "a-secret-that-no-answer-may-hold"


@cache
def _session() -> httpx.Client:
    # Without TLS, whose set-up costs more than a request; and connections are not kept, for servers come and go.
    limits = httpx.Limits(max_keepalive_connections=0)
    return httpx.Client(transport=httpx.HTTPTransport(verify=False, limits=limits), timeout=30)


@dataclass(frozen=True)
class Client:
    """One caller with one key, or with none."""

    url: str
    key: str | None = None

    def __call__(self, method: str, path: str, body: Any = None, **options: Any) -> httpx.Response:
        """Ask, and return the answer whatever it is."""
        headers = {} if self.key is None else {"Authorization": f"Bearer {self.key}"}
        headers |= options.pop("headers", {})
        if body is not None:
            options["json"] = body
        return _session().request(method, self.url + path, headers=headers, **options)

    def done(self, method: str, path: str, body: Any = None, **options: Any) -> Any:
        """Ask for what has to succeed and return its JSON."""
        answer = self(method, path, body, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def opened_home(folder: Path, *, allowed: tuple[str, ...] | None = None) -> Iterator[Services]:
    """Give the services on a new state store in the folder."""
    home = folder / "home"
    # The test's storage is on this machine, where the connections of strangers do not go otherwise.
    reach = ("127.0.0.1",) if allowed is None else allowed
    database = f"sqlite:///{home / 'state.db'}"
    settings = Settings(home=home, database_url=database, check_seconds=5, allowed_addresses=reach)
    Services.init(settings)
    with Services.open(settings) as opened:
        yield opened


@contextmanager
def serving(services: Services, *, open_access: bool = True) -> Iterator[str]:
    """Serve the API on a free port and give its address."""
    config = uvicorn.Config(
        create_app(services, open_access=open_access),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        http="h11",
    )
    server = uvicorn.Server(config)
    listening = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        listening.close()


def make_key(services: Services, namespace: str, role: str = "admin", organisation: str = "acme") -> str:
    """Return a new key."""
    return services.open_keys().create(namespace=namespace, organisation=organisation, role=Role(role))[1]


def connection_body(endpoint_url: str, name: str = "media", **more: Any) -> dict[str, Any]:
    """The request for a connection to the test's storage."""
    credentials = {"type": "access_key", "access_key_id": "AKIADEMO", "secret_access_key": SECRET}
    config = {"endpoint_url": endpoint_url, "dialect": "minio", "credentials": credentials}
    return {"name": name, "provider_type": "s3", "provider_config": config, **more}


@dataclass(frozen=True)
class Library:
    """What a tenant has: one of everything, after a run that failed with one item of three."""

    connection_id: str
    bucket_id: str
    sync_id: str
    run_id: str
    object_id: str
    batch_id: str
    dead_letter_id: str

    @property
    def syncs(self) -> str:
        """The path of the bucket's syncs."""
        return f"/v1/buckets/{self.bucket_id}/syncs"

    @property
    def sync(self) -> str:
        """The path of the sync."""
        return f"{self.syncs}/{self.sync_id}"


def make_library(
    services: Services, ask: Client, endpoint_url: str, *, name: str = "films", run: str = "run_first"
) -> Library:
    """Make everything through the API, but the run, which the engine does."""
    connection = ask.done(
        "POST", "/v1/connections", connection_body(endpoint_url, "media" if name == "films" else name)
    )
    bucket = ask.done("POST", "/v1/buckets", {"bucket_name": name})
    syncs = f"/v1/buckets/{bucket['bucket_id']}/syncs"
    body = {"connection_id": connection["connection_id"], "source_path": BUCKET, "schema_mapping": MAPPING}
    sync = ask.done("POST", syncs, {**body, "name": name, "polling_interval_seconds": 60})
    run_id = run_once(services, sync["sync_config_id"], run)
    path = f"{syncs}/{sync['sync_config_id']}"
    return Library(
        connection_id=connection["connection_id"],
        bucket_id=bucket["bucket_id"],
        sync_id=sync["sync_config_id"],
        run_id=run_id,
        object_id=ask.done("POST", f"/v1/buckets/{bucket['bucket_id']}/objects/list")["results"][0]["object_id"],
        batch_id=ask.done("POST", f"/v1/buckets/{bucket['bucket_id']}/batches/list")["results"][0]["batch_id"],
        dead_letter_id=ask.done("POST", f"{path}/dlq")["results"][0]["dlq_id"],
    )


def run_once(services: Services, sync_config_id: str, sync_run_id: str = "run_first") -> str:
    """Run a sync in this process and return the run's id."""
    tools = services.tools_for(services.store.get_sync(sync_config_id))
    try:
        return run_sync(tools, sync_config_id, worker_id="here:1", sync_run_id=sync_run_id).sync_run_id
    finally:
        tools.close()
