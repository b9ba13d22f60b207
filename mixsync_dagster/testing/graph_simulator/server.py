"""The server: requests told apart, faults applied, answers sent as the service sends them."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from mixsync_dagster.testing.graph_simulator import answers
from mixsync_dagster.testing.graph_simulator.faults import Fault

if TYPE_CHECKING:
    from mixsync_dagster.testing.graph_simulator.simulator import GraphSimulator

_BACKLOG = 512
_KINDS: tuple[tuple[str, str], ...] = (
    ("discovery", r"/[^/]+/v2\.0/\.well-known/openid-configuration"),
    ("token", r"/[^/]+/oauth2/v2\.0/token"),
    ("download", r"/download/.*"),
    ("delta", r"/v1\.0/.*/delta"),
    ("content", r"/v1\.0/drives/[^/]+/items/[^/]+/content"),
    ("item", r"/v1\.0/drives/[^/]+/(items/[^/]+|root(:/.*)?)"),
    ("drives", r"/v1\.0/sites/.*/drives"),
    ("drive", r"/v1\.0/(drives/[^/]+|sites/.*/drive|me/drive)"),
    ("site", r"/v1\.0/sites/.*"),
)


class SimulatorServer(ThreadingHTTPServer):
    """Listens on a free port of loopback; every connection has a thread."""

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(self, simulator: GraphSimulator, tls: ssl.SSLContext | None) -> None:
        self.simulator = simulator
        self._stopped = False
        super().__init__(("127.0.0.1", 0), _Connection)
        if tls is not None:
            # The handshake is the connection's thread's business: a client that never ends it holds nobody up.
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. Twice is harmless."""
        if not self._stopped:
            self._stopped = True
            self.shutdown()
            self._thread.join()
            self.server_close()

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients that hang up inside an answer are no event."""


class _Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SimulatorServer

    def log_message(self, *args: object) -> None:
        """The simulator has a log of its own."""

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._answer("")

    def do_POST(self) -> None:
        """Answer a POST request."""
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode())

    def _answer(self, body: str) -> None:
        from mixsync_dagster.testing.graph_simulator.simulator import LoggedRequest

        simulator = self.server.simulator
        kind = kind_of(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        simulator.note(LoggedRequest(kind, self.command, self.path, headers))
        fault = simulator.faults.take(kind)
        if fault is not None and fault.before is not None:
            fault.before()
        if fault is not None and (fault.status is not None or fault.body is not None):
            self._send(_instead(fault))
            return
        answer = answers.answer(simulator, kind, self.path, headers, body)
        if fault is not None and fault.flip_at is not None:
            flipped = bytearray(answer.body)
            flipped[fault.flip_at] ^= 0xFF
            answer = answers.Answer(answer.status, bytes(flipped), answer.headers)
        self._send(answer, None if fault is None else fault.cut_at)

    def _send(self, answer: answers.Answer, cut_at: int | None = None) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body if cut_at is None else answer.body[:cut_at])
        if cut_at is not None:
            self.close_connection = True


def kind_of(target: str) -> str:
    """Return what a request is about; `other` for what the simulator does not serve."""
    parts = urlsplit(target)
    path = unquote(parts.path)
    for kind, pattern in _KINDS:
        if re.fullmatch(pattern, path, re.DOTALL):
            return "columns" if kind == "item" and "$expand" in unquote(parts.query) else kind
    return "other"


def _instead(fault: Fault) -> answers.Answer:
    status = fault.status or 200
    headers: Mapping[str, str] = {"Content-Type": "application/json", **fault.headers}
    body: Any = fault.body
    if body is None:
        body = json.dumps({"error": {"code": fault.code, "message": "simulated"}}).encode() if fault.code else b""
    return answers.Answer(status, body, headers)
