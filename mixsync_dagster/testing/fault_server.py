"""The wire of a FaultProxy: connections of clients, and for each request one to the server."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from http.client import HTTPConnection, HTTPException, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol

from mixsync_dagster.testing.fault_traffic import FRAMING, ConnectionEnds, Exchange, Flow, Passage

_PIECE_BYTES = 64 * 1024
_BACKLOG = 512
_NO_BODY = frozenset({204, 304})
_LINE_BYTES = 64 * 1024


class Desk(Protocol):
    """Who decides what becomes of a request; called by several threads at once."""

    def connect(self) -> HTTPConnection:
        """Return a new connection to the server, not opened yet."""
        ...

    def begin(self, method: str, target: str, headers: Mapping[str, str], forward: Callable[[], Flow]) -> Passage:
        """Note a request."""
        ...

    def flow(self, passage: Passage) -> Flow:
        """Return what the client is given, faults applied. Raises ConnectionEnds."""
        ...

    def note(self, error: Exception) -> None:
        """Keep the exception of a test's own function."""
        ...


@contextlib.contextmanager
def _breaking() -> Iterator[None]:
    """End the client's connection when the server's or the client's breaks, as if nothing stood between the two."""
    try:
        yield
    except (OSError, HTTPException, ValueError):
        raise ConnectionEnds(reset=True) from None


class FaultServer(ThreadingHTTPServer):
    """Listens on a free port of loopback; every connection has a thread."""

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._open: set[socket.socket] = set()
        self._changed = threading.Condition()
        super().__init__(("127.0.0.1", 0), _Connection)

    def opened(self, connection: socket.socket) -> None:
        """Remember a connection, of a client or to the server."""
        with self._changed:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._changed:
            self._open.discard(connection)
            self._changed.notify_all()

    def connections_end(self, seconds: float) -> bool:
        """End every connection; return whether their threads came to an end in time."""
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            return self._changed.wait_for(lambda: not self._open, seconds)

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients that hang up between two requests are no event."""


class _Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; each answer would take 40 ms
    server: FaultServer
    raw_requestline: bytes

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.closed(self.connection)

    def log_message(self, *args: object) -> None:
        """The proxy has a log of its own."""

    def parse_request(self) -> bool:
        """Take any method; `command` stays what the client said."""
        if not super().parse_request():
            return False
        self._method, self.command = self.command, "ANY"
        return True

    def do_ANY(self) -> None:
        """Pass one request on, and its answer back."""
        target = self.raw_requestline.split(b" ")[1].decode("latin-1")
        headers = {name.lower(): value for name, value in self.headers.items()}
        desk = self.server.desk
        forward = _Forwarding(self, self._method, target, desk.connect())
        passage = desk.begin(self._method, target, headers, forward)
        try:
            flow = desk.flow(passage)
            forward.skip_body()
            self._answer(passage.exchange, flow)
        except ConnectionEnds as end:
            self._end(passage.exchange, reset=end.reset)
        except Exception as error:  # noqa: BLE001 - a test's own function failed; close() raises it again
            desk.note(error)
            self._end(passage.exchange, reset=True)
        finally:
            forward.close()

    def _answer(self, exchange: Exchange, flow: Flow) -> None:
        bodiless = self._method == "HEAD" or flow.status in _NO_BODY
        chunked = flow.length is None and not bodiless and self.request_version != "HTTP/1.0"
        exchange.status = flow.status
        self.send_response_only(flow.status, flow.reason)
        for name, value in flow.headers:
            self.send_header(name, value)
        if flow.length is not None and flow.status != 204:  # noqa: PLR2004 - No Content has no length
            self.send_header("Content-Length", str(flow.length))
        elif chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif not bodiless:
            self.close_connection = True
        if self.close_connection or self.request_version == "HTTP/1.0":
            self.send_header("Connection", "close")
        with _breaking():
            self.end_headers()
        for piece in flow.pieces:
            if piece and not bodiless:
                exchange.bytes_sent += len(piece)
                self._send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self._send(b"0\r\n\r\n")

    def _send(self, data: bytes) -> None:
        with _breaking():
            self.wfile.write(data)

    def _end(self, exchange: Exchange, *, reset: bool) -> None:
        exchange.ended = "reset" if reset else "closed"
        self.close_connection = True
        if reset:
            # Closed with nothing to linger for, a socket sends RST; closing has to come before any shutdown.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()


class _Forwarding:
    """Sends one request on, its body while it comes, and gives the server's answer."""

    def __init__(self, client: _Connection, method: str, target: str, upstream: HTTPConnection) -> None:
        self._client = client
        self._method = method
        self._target = target
        self._upstream = upstream
        self._body = _request_body(client)
        # The connection forgets its socket as soon as an answer says that it will close.
        self._socket: socket.socket | None = None

    def __call__(self) -> Flow:
        """Ask the server. Raises ConnectionEnds."""
        with _breaking():
            self._send()
            return self._flow(self._upstream.getresponse())

    def _send(self) -> None:
        headers = self._client.headers
        chunked = "transfer-encoding" in headers
        self._upstream.connect()
        self._socket = self._upstream.sock
        self._client.server.opened(self._socket)
        self._upstream.putrequest(self._method, self._target, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            if name.lower() == "content-length" or name.lower() not in FRAMING | {"expect"}:
                self._upstream.putheader(name, value)
        if chunked:
            self._upstream.putheader("Transfer-Encoding", "chunked")
        self._upstream.endheaders()
        for piece in self._body:
            self._upstream.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        if chunked:
            self._upstream.send(b"0\r\n\r\n")

    def skip_body(self) -> None:
        """Read what nobody sent on, so that the connection's next request is found."""
        with _breaking():
            for _ in self._body:
                pass

    def close(self) -> None:
        """Close the connection to the server."""
        if self._socket is not None:
            self._client.server.closed(self._socket)
        self._upstream.close()

    def _flow(self, response: HTTPResponse) -> Flow:
        headers = tuple((name, value) for name, value in response.getheaders() if name.lower() not in FRAMING)
        announced = response.getheader("Content-Length", "")
        length = int(announced) if announced.isascii() and announced.isdecimal() and not response.chunked else None
        return Flow(response.status, response.reason, headers, length, self._pieces(response, length))

    def _pieces(self, response: HTTPResponse, length: int | None) -> Iterator[bytes]:
        received = 0
        while True:
            with _breaking():
                piece = response.read1(_PIECE_BYTES)
            if not piece:
                break
            received += len(piece)
            yield piece
        if self._method != "HEAD" and response.status not in _NO_BODY and length not in (None, received):
            raise ConnectionEnds(reset=True)


def _request_body(client: _Connection) -> Iterator[bytes]:
    """Yield a request's body while it comes; raises ConnectionEnds when the client stops inside it."""
    if "transfer-encoding" in client.headers:
        while size := int(client.rfile.readline(_LINE_BYTES).split(b";")[0], 16):
            yield _exactly(client, size)
            client.rfile.readline(_LINE_BYTES)
        while client.rfile.readline(_LINE_BYTES) not in (b"\r\n", b"\n", b""):
            pass
        return
    left = int(client.headers.get("Content-Length", "0"))
    while left:
        piece = _exactly(client, min(left, _PIECE_BYTES))
        left -= len(piece)
        yield piece


def _exactly(client: _Connection, size: int) -> bytes:
    piece = client.rfile.read(size)
    if len(piece) != size:
        raise ConnectionEnds(reset=True)
    return piece
