"""The simulated Drive's HTTP server: routes, tokens, faults on demand, and a record of every request."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from mixsync_dagster.testing.drive_simulator.api import Answer, DriveApi, Refused
from mixsync_dagster.testing.drive_simulator.files import DriveFiles
from mixsync_dagster.testing.drive_simulator.sign_in import CLIENT_EMAIL, OAUTH, SignIn, private_key_pem

_PREFIX = "/drive/v3/"
_GZIP_FROM = 1024


@dataclass
class Fault:
    """What a request gets instead of its answer, or what is done to the answer."""

    status: int = 0
    """0: the answer itself, changed by what follows."""
    reason: str = ""
    retry_after: str | None = None
    empty: bool = False
    """A success without a body."""
    cut: int | None = None
    """The connection ends after so many bytes of the body, of which more were announced."""
    flip: bool = False
    """One byte of the body is another one."""
    reset: bool = False
    """The connection ends without an answer."""
    times: int = 1
    after: int = 0
    """So many requests are let through before."""
    location: str = ""


@dataclass
class DriveSimulator:
    """A Drive on a free port of loopback; a context manager that stops it. For any number of clients."""

    files: DriveFiles = field(default_factory=DriveFiles)
    sign_in: SignIn = field(default_factory=SignIn)

    def __post_init__(self) -> None:
        self.api = DriveApi(self.files)
        self.requests: list[tuple[str, dict[str, str]]] = []
        """(operation, query) of every request in the order of arrival; `token` is a request of the sign-in."""
        self.targets: list[str] = []
        """Method and target of every request, as sent."""
        self._before: dict[str, list[Callable[[], None]]] = {}
        self._faults: list[tuple[str, Fault]] = []
        self._lock = threading.Lock()
        self._server = _Server(self)
        self.address = self.api.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and end its connections."""
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()
        self._thread.join()

    @property
    def api_endpoint(self) -> str:
        """What a connection gives as `api_endpoint`."""
        return self.address + _PREFIX

    def service_account(self) -> dict[str, str]:
        """Return credentials of the service account, as a connection gives them."""
        return {
            "type": "service_account",
            "project_id": "example-project",
            "private_key_id": "fake-key-id",
            "private_key": private_key_pem(),
            "client_email": CLIENT_EMAIL,
            "client_id": "100000000000000000001",
            "token_uri": f"{self.address}/token",
        }

    def consent(self) -> dict[str, str]:
        """Return credentials of a user's consent, as a connection gives them."""
        return {"type": "oauth", **OAUTH, "token_uri": f"{self.address}/token"}

    def count(self, *operations: str) -> int:
        """Return how many requests of these operations were made; without any: of all but the sign-in."""
        with self._lock:
            made = Counter(operation for operation, _ in self.requests)
        return sum(made[one] for one in operations) if operations else sum(made.values()) - made["token"]

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.requests.clear()
            self.targets.clear()

    def fail(self, operation: str, **fault: Any) -> None:
        """Let the next requests of an operation have a fault; see Fault."""
        with self._lock:
            self._faults.append((operation, Fault(**fault)))

    def before(self, operation: str, act: Callable[[], None]) -> None:
        """Do something once, before the next request of an operation is answered."""
        with self._lock:
            self._before.setdefault(operation, []).append(act)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> tuple[Answer, Fault | None]:
        """Return what a request gets; called by the server's threads."""
        parts = urlsplit(target)
        asked: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            asked.setdefault(name, value)  # of a repeated parameter the first counts
        operation, argument = _route(method, unquote(parts.path), asked)
        acts, fault = self._note(operation, asked, f"{method} {target}")
        for act in acts:
            act()
        if fault is not None and fault.status:
            return self._refusal(fault), fault
        try:
            if operation == "token":
                status, told = self.sign_in.answer(dict(parse_qsl(body.decode())))
                return Answer(status, told), fault
            self._check_token(headers)
            with self.files.lock:
                return self._answer(operation, argument, asked, headers), fault
        except Refused as refused:
            return refused.answer, fault

    def _note(
        self, operation: str, asked: dict[str, str], target: str
    ) -> tuple[list[Callable[[], None]], Fault | None]:
        with self._lock:
            self.requests.append((operation, asked))
            self.targets.append(target)
            acts = self._before.pop(operation, [])
            for entry in self._faults:
                if entry[0] != operation:
                    continue
                if entry[1].after > 0:
                    entry[1].after -= 1
                    continue
                entry[1].times -= 1
                if entry[1].times <= 0:
                    self._faults.remove(entry)
                return acts, entry[1]
        return acts, None

    def _refusal(self, fault: Fault) -> Answer:
        headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
        if fault.status < 400:  # noqa: PLR2004 - the first of the refusals
            return Answer(fault.status, {}, headers)
        details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": fault.reason}]
        return Refused(fault.status, fault.reason, location=fault.location, headers=headers, details=details).answer

    def _check_token(self, headers: dict[str, str]) -> None:
        given = headers.get("authorization", "")
        if not given:
            raise Refused(403, "forbidden", "Method doesn't allow unregistered callers.")
        if not self.sign_in.good(given.removeprefix("Bearer ")):
            raise Refused(401, "authError", "Invalid Credentials", "Authorization")

    def _answer(self, operation: str, argument: str, asked: dict[str, str], headers: dict[str, str]) -> Answer:
        keys = headers.get("x-goog-drive-resource-keys", "")
        api = self.api
        routes: dict[str, Callable[[], Answer]] = {
            "files.list": lambda: api.list_files(asked),
            "files.get": lambda: api.get_file(argument, asked, keys),
            "files.media": lambda: api.media(argument, keys, headers.get("range")),
            "files.export": lambda: api.export(argument, asked, keys),
            "files.download": lambda: api.download(argument, asked, keys),
            "operations.get": lambda: api.operation(argument),
            "exported": lambda: api.exported_bytes(argument),
            "changes.start": lambda: api.start_token(asked),
            "changes.list": lambda: api.list_changes(asked),
            "drives.get": lambda: api.get_drive(argument, asked),
        }
        if operation not in routes:
            raise Refused(404, "notFound", "Not Found")
        return routes[operation]()


def _route(method: str, path: str, asked: dict[str, str]) -> tuple[str, str]:
    """Return the operation that a request asks for, and the id in its path."""
    parts = path.removeprefix(_PREFIX).strip("/").split("/")
    operation, at = _ROUTES.get((method, parts[0], len(parts), *parts[2:]), ("unknown", None))
    if operation == "changes.list" and parts[1:]:
        operation = "changes.start" if parts[1] == "startPageToken" else "unknown"
    if operation == "files.get" and asked.get("alt") == "media":
        operation = "files.media"
    return operation, "" if at is None else parts[at]


_ROUTES: Mapping[tuple[object, ...], tuple[str, int | None]] = {
    ("POST", "token", 1): ("token", None),
    ("GET", "exported", 2): ("exported", 1),
    ("GET", "files", 1): ("files.list", None),
    ("GET", "files", 2): ("files.get", 1),
    ("GET", "files", 3, "export"): ("files.export", 1),
    ("POST", "files", 3, "download"): ("files.download", 1),
    ("GET", "operations", 2): ("operations.get", 1),
    ("GET", "changes", 1): ("changes.list", None),
    ("GET", "changes", 2): ("changes.list", None),
    ("GET", "drives", 2): ("drives.get", 1),
}
"""By method, first part of the path, number of parts and last part: the operation, and which part is an id."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, simulator: DriveSimulator) -> None:
        self.simulator = simulator
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Connection)

    def end_connections(self) -> None:
        """End what clients keep open."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients that hang up are no event."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; each answer would take 40 ms
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def log_message(self, *args: object) -> None:
        """The simulator has a record of its own."""

    def do_GET(self) -> None:
        """Answer one request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer, fault = self.server.simulator.answer(self.command, self.path, headers, body)
        plain = isinstance(answer.body, bytes)
        content: bytes = answer.body if plain else json.dumps(answer.body).encode()
        sent = dict(answer.headers)
        if not plain and len(content) > _GZIP_FROM and "gzip" in headers.get("accept-encoding", ""):
            content = gzip.compress(content, 1)
            sent["Content-Encoding"] = "gzip"
        self._send(answer.status, sent, content, fault or Fault(), plain=plain)

    do_POST = do_GET  # noqa: N815 - the name that the standard library looks for

    def _send(self, status: int, headers: dict[str, str], content: bytes, fault: Fault, *, plain: bool) -> None:
        if fault.reset:
            self.close_connection = True
            return
        if fault.empty:
            content, headers = b"", {}
        if fault.flip and content:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self.send_response(status)
        headers["Content-Type"] = "application/octet-stream" if plain else "application/json; charset=UTF-8"
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if fault.cut is not None:
            content = content[: fault.cut]
            self.close_connection = True
        self.wfile.write(content)
