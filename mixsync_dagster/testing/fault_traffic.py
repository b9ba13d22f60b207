"""What passes through a FaultProxy: requests, answers, and the record of each exchange."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal
from urllib.parse import parse_qs

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class ProxiedRequest:
    """A request as it came over the wire; its body is passed on and not kept."""

    number: int
    """1 for the proxy's first request, in the order in which they came."""
    method: str
    target: str
    """Path and query, neither decoded nor normalised."""
    headers: Mapping[str, str]
    """By lower-case name; of a name that came twice the last."""

    @property
    def path(self) -> str:
        """The target up to its query, percent-encoded as it came."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """The target behind the question mark, percent-encoded as it came; empty without one."""
        return self.target.partition("?")[2]

    def parameter(self, name: str) -> str | None:
        """Return the decoded value of a query parameter (the first of several); None when it is absent."""
        values = parse_qs(self.query, keep_blank_values=True).get(name)
        return values[0] if values else None


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer in memory: what a fault answers itself, and what a rewriting function is given and returns.

    The proxy sets Content-Length to the body's length; a Content-Length or Transfer-Encoding in `headers` is dropped.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""

    def header(self, name: str) -> str | None:
        """Return a header's value (the first of several), whatever the case of its name; None when it is absent."""
        return next((value for given, value in self.headers if given.lower() == name.lower()), None)


@dataclass(slots=True)
class Exchange:
    """One request and what became of it; `FaultProxy.log` gives copies."""

    request: ProxiedRequest
    status: int | None = None
    """Status that the client was given; None when it was given none (yet)."""
    bytes_sent: int = 0
    """Bytes of the body that were handed to the client's connection, without chunk framing."""
    faults: tuple[str, ...] = ()
    """Kinds of the faults that struck, in order; one that found nothing to strike (a short body) is not among them."""
    ended: Literal["reset", "closed"] | None = None
    """How the client's connection ended in the midst of this exchange, by a fault, by the server's or the client's end;
    None when it did not."""


class ConnectionEnds(Exception):
    """Raised by a fault, inside `before` or a body, to end the client's connection there and then."""

    def __init__(self, *, reset: bool) -> None:
        self.reset = reset
        """True: by a reset (RST), False: in an orderly way (FIN)."""
        super().__init__("the client's connection is reset" if reset else "the client's connection is closed")


@dataclass(slots=True)
class Flow:
    """An answer on its way: the head, and the body piece by piece. Faults change it, for instance wrap `pieces`."""

    status: int
    reason: str
    headers: Headers
    """Without those that frame the body or belong to one connection."""
    length: int | None
    """Content-Length to announce; None: chunked, or up to the connection's end for an HTTP/1.0 client."""
    pieces: Iterator[bytes]


def whole_flow(answer: Answer) -> Flow:
    """Return the flow of an answer that is in memory."""
    headers = tuple((name, value) for name, value in answer.headers if name.lower() not in FRAMING)
    try:
        reason = HTTPStatus(answer.status).phrase
    except ValueError:
        reason = "Unknown"
    return Flow(answer.status, reason, headers, len(answer.body), iter((answer.body,)))


FRAMING = frozenset({"connection", "content-length", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"})
"""Headers of one connection: they are never passed on as they are."""


@dataclass
class Passage:
    """What a fault may do while one exchange is on its way."""

    exchange: Exchange
    stopping: threading.Event
    """Set when the proxy closes; whatever waits gives up."""
    lock: threading.Lock
    forward: Callable[[], Flow]
    """Sends the request on and returns the server's answer, its body unread; once an exchange."""
    struck: Callable[[str], None] = field(default=lambda _kind: None)

    @property
    def request(self) -> ProxiedRequest:
        """The request."""
        return self.exchange.request

    def strike(self, kind: str) -> None:
        """Note that a fault takes effect now; the first time counts."""
        with self.lock:
            if kind in self.exchange.faults:
                return
            self.exchange.faults += (kind,)
        self.struck(kind)

    def wait(self, seconds: float) -> None:
        """Wait, by the real clock; ends the connection when the proxy closes meanwhile."""
        if seconds > 0 and self.stopping.wait(seconds):
            raise ConnectionEnds(reset=True)
