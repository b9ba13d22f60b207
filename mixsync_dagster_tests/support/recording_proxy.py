"""A proxy on loopback that records every request to a server, and lets a test act before and after any of them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TypeAlias
from urllib.parse import urlsplit

from mixsync_dagster_tests.support.s3_servers import SeenRequest

_ANSWER_SECONDS = 30.0
_OWN_HEADERS = frozenset({"connection", "content-length", "date", "keep-alive", "server", "transfer-encoding"})
"""Headers that the proxy sets itself."""


@dataclass(frozen=True)
class Answer:
    """What the server answered, as far as it is passed on."""

    status: int
    headers: dict[str, str]
    body: bytes


Forward: TypeAlias = Callable[[], Answer]
"""Sends the request on and returns the server's answer."""


@dataclass
class RecordingProxy:
    """A running proxy: where it listens, and what it saw."""

    endpoint_url: str
    upstream: str
    """Host and port of the server."""
    seen: list[SeenRequest] = field(default_factory=list)
    """In the order in which the requests came."""
    around: Callable[[SeenRequest, Forward], Answer] = lambda _request, forward: forward()
    """Called for each request, by several threads at once; returns what the client gets."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    owner: RecordingProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = SeenRequest(self.command, self.path, dict(self.headers))
        self.owner.seen.append(request)
        answer = self.owner.around(request, lambda: _ask(self.owner.upstream, request, body))
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def do_GET(self) -> None:
        self._pass_on()

    def do_HEAD(self) -> None:
        self._pass_on()

    def do_PUT(self) -> None:
        self._pass_on()

    def do_POST(self) -> None:
        self._pass_on()

    def do_DELETE(self) -> None:
        self._pass_on()

    def log_message(self, *args: object) -> None:
        """Keep the test's output clean; `seen` is the log."""


def _ask(upstream: str, request: SeenRequest, body: bytes) -> Answer:
    connection = HTTPConnection(upstream, timeout=_ANSWER_SECONDS)
    try:
        connection.request(request.method, request.target, body=body or None, headers=request.headers)
        given = connection.getresponse()
        kept = _OWN_HEADERS - ({"content-length"} if request.method == "HEAD" else set())
        headers = {name: value for name, value in given.getheaders() if name.lower() not in kept}
        return Answer(given.status, headers, given.read())
    finally:
        connection.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients end when their test stops them."""


@contextlib.contextmanager
def recording(endpoint_url: str) -> Iterator[RecordingProxy]:
    """Run a proxy in front of a server that speaks plain HTTP."""
    handler = type("Handler", (_Handler,), {})
    server = _Server(("127.0.0.1", 0), handler)
    owner = RecordingProxy(f"http://127.0.0.1:{server.server_address[1]}", urlsplit(endpoint_url).netloc)
    handler.owner = owner  # type: ignore[attr-defined]  # the class made above
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield owner
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
