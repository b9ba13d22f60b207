"""An HTTP proxy on loopback that breaks things as it is told: for tests of whatever speaks to an HTTP server.

    with FaultProxy("http://127.0.0.1:9000", seed=7) as proxy:
        proxy.add(s3_error(503, "SlowDown", retry_after=3), method="GET", query={"list-type": "2"}, times=2)
        proxy.add(CorruptByte(10), path=r"/pictures/", probability=0.05)
        ...  # a client that uses proxy.url in place of the server's address
        assert proxy.counts() == {"status": 2, "corrupt": 1}

Requests are passed on exactly as they came, target and Host header included, so that a signature that covers them (AWS
SigV4) still verifies and links that a server makes of the Host header lead back to the proxy. Bodies stream in both
directions; connections of clients are kept alive, and every request has a connection of its own to the server. Answers
keep their status, headers and framing (Content-Length or chunks). Redirects, content codings and caches are none of the
proxy's business.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.client import HTTPConnection
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from mixsync_dagster.testing.fault_rules import Rule
from mixsync_dagster.testing.fault_server import FaultServer
from mixsync_dagster.testing.fault_traffic import (
    Answer,
    ConnectionEnds,
    Exchange,
    Flow,
    Passage,
    ProxiedRequest,
)
from mixsync_dagster.testing.faults import (
    AnswerWith,
    CorruptByte,
    Delay,
    Drip,
    Fault,
    Hang,
    Hook,
    ResetBefore,
    ResetInside,
    Rewrite,
    Truncate,
    s3_error,
)

__all__ = [
    "Answer",
    "AnswerWith",
    "ConnectionEnds",
    "CorruptByte",
    "Delay",
    "Drip",
    "Exchange",
    "Fault",
    "FaultProxy",
    "Flow",
    "Hang",
    "Hook",
    "Passage",
    "ProxiedRequest",
    "ResetBefore",
    "ResetInside",
    "Rewrite",
    "Rule",
    "Truncate",
    "s3_error",
]

_CLOSING_SECONDS = 10.0


class FaultProxy:
    """A running proxy in front of one server; it runs from its making until `close()` or the end of its `with`.

    `upstream` is the server's address, `http://host:port`; anything else raises ValueError. `answer_seconds` is the
    longest silence of the server that is borne. The first rule that takes a request decides: its faults are applied in
    the order in which they are given, and rules behind it do not see the request. A server that is not there, ends
    inside its answer or is silent too long looks as it would without the proxy: the client's connection is reset.

    An exception of a test's own function (a hook, a predicate, a rewriting) resets the connection and is raised again
    by `close`, unless the `with` ends with an exception anyway. Everything is safe for any number of threads.
    """

    def __init__(self, upstream: str, *, seed: int = 0, answer_seconds: float = 60.0) -> None:
        parts = urlsplit(upstream)
        if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError(f"upstream: {upstream} is not accepted; give http://host:port.")
        host, port = parts.hostname, parts.port or 80
        self._desk = _Desk(lambda: HTTPConnection(host, port, timeout=answer_seconds), seed)
        self._server = FaultServer(self._desk)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        """Where clients find the proxy."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="fault-proxy", daemon=True
        )
        self._thread.start()

    def add(self, *rule_or_faults: Rule | Fault, **matching: object) -> Rule:
        """Add a rule behind those that are there, and return it; it holds for requests that come from now on.

        Give one Rule, or faults and the keyword arguments that Rule takes.
        """
        if len(rule_or_faults) == 1 and isinstance(rule_or_faults[0], Rule) and not matching:
            rule = rule_or_faults[0]
        else:
            rule = Rule(*rule_or_faults, **matching)  # type: ignore[arg-type]  # Rule says what it takes
        self._desk.add(rule)
        return rule

    def clear(self) -> None:
        """Drop all rules: requests that come from now on pass unharmed. What hangs goes on hanging."""
        with self._desk.lock:
            self._desk.rules.clear()

    @property
    def log(self) -> tuple[Exchange, ...]:
        """Return a copy of every exchange so far, in the order of their requests, also those still on their way.

        Status and bytes are noted before they are sent: a client that has its answer finds it here.
        """
        with self._desk.lock:
            return tuple(replace(exchange) for exchange in self._desk.exchanges)

    def counts(self) -> dict[str, int]:
        """Return how many exchanges each kind of fault struck; a fault without effect (a short body) is not counted."""
        with self._desk.lock:
            return dict(self._desk.counts)

    def close(self) -> None:
        """End all connections, hanging ones too, and stop. Twice is harmless.

        Raises the first exception of a test's own function, and RuntimeError when a thread does not end.
        """
        if self._desk.stopping.is_set():
            return
        self._desk.stopping.set()
        for fault in self._desk.faults:
            fault.release()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if not self._server.connections_end(_CLOSING_SECONDS):
            raise RuntimeError("a connection of the fault proxy does not end: a hook or a predicate does not return.")
        if self._desk.errors:
            raise self._desk.errors[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(Exception):
            self.close()


class _Desk:
    """Implements Desk: the rules, and what became of the requests."""

    def __init__(self, connect: Callable[[], HTTPConnection], seed: int) -> None:
        self.connect = connect
        self._seed = seed
        self.lock = threading.Lock()
        self.rules: list[tuple[str, Rule]] = []
        self.faults: list[Fault] = []
        self.exchanges: list[Exchange] = []
        self.counts: Counter[str] = Counter()
        self.errors: list[Exception] = []
        self.stopping = threading.Event()

    def add(self, rule: Rule) -> None:
        """Add a rule behind the others."""
        with self.lock:
            # The place among all ever added: clearing does not make a later rule draw as an earlier one did.
            self.rules.append((f"{self._seed}\n{len(self.faults)}", rule))
            self.faults.extend(rule.faults)

    def begin(self, method: str, target: str, headers: Mapping[str, str], forward: Callable[[], Flow]) -> Passage:
        """Note a request."""
        with self.lock:
            request = ProxiedRequest(len(self.exchanges) + 1, method, target, headers)
            exchange = Exchange(request)
            self.exchanges.append(exchange)
        return Passage(exchange, self.stopping, self.lock, forward, self._count)

    def flow(self, passage: Passage) -> Flow:
        """Return what the client is given, faults applied."""
        with self.lock:
            rules = list(self.rules)
        rule = next((rule for seed, rule in rules if rule.takes(passage.request, seed)), None)
        faults = rule.faults if rule is not None else ()
        flow = None
        applied: list[Fault] = []
        for fault in faults:
            applied.append(fault)
            flow = fault.before(passage)
            if flow is not None:
                break
        if flow is None:
            flow = passage.forward()
        for fault in applied:
            flow = fault.change(passage, flow)
        return flow

    def note(self, error: Exception) -> None:
        """Keep an exception for `close`."""
        with self.lock:
            self.errors.append(error)

    def _count(self, kind: str) -> None:
        with self.lock:
            self.counts[kind] += 1
