"""A Snowflake on loopback: fakesnow's server behind a layer that logs, breaks and completes its answers.

Used through the real connector by host, port and protocol of the connection. What fakesnow (0.12) cannot do, and
what becomes of it here:

- SYSTEM$LAST_CHANGE_COMMIT_TIME is answered by this layer: a number that grows with every statement that writes.
- CHANGES, AT, streams and change tracking: not at all. The provider's statements are tested by their text.
- Nanoseconds end at microseconds; NUMBER(38, 0) ends at 64 bits; columns whose names differ in case only collide;
  names with dots, blanks or quotes of databases and schemas are not taken; a collation is not known.
- Credentials, roles and warehouses are not looked at; a result comes in one piece, so that it cannot show streaming:
  results made by `snowflake_results` are answered by this layer, in parts.
- Stacked statements are run, which Snowflake refuses: tests of injection look at the text that was sent.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from mixsync_dagster.testing.snowflake_results import PATH as RESULTS
from mixsync_dagster.testing.snowflake_results import PreparedResult

_LOGIN = "/session/v1/login-request"
_QUERY = "/queries/v1/query-request"
_WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|MERGE|TRUNCATE|CREATE|DROP|ALTER)\b", re.IGNORECASE)
_COMMIT_TIME = re.compile(r"SYSTEM\$LAST_CHANGE_COMMIT_TIME\('(?:[^']|'')*'\)")
_TICK_SECONDS = 0.05
_START_TICKS = 600
_STOP_SECONDS = 30

Scope = Mapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """One statement as it came over the wire."""

    sql: str
    binds: tuple[Any, ...]


@dataclass
class Fault:
    """An answer in the server's place, for the next `times` requests that match."""

    match: str
    """Part of the statement, `login`, or part of the path of a result's part: `/results/0/3`."""
    status: int = 200
    code: str | None = None
    """Snowflake's error number; with it the answer is an error of Snowflake, else of HTTP."""
    sql_state: str = "00000"
    message: str = "injected"
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class SnowflakeSimulator:
    """A running server: where it is, what came, and what is to go wrong."""

    port: int = 0
    host: str = "127.0.0.1"
    statements: list[Sent] = field(default_factory=list)
    logins: list[Mapping[str, Any]] = field(default_factory=list)
    """The `data` of every sign-in."""
    faults: list[Fault] = field(default_factory=list)
    before: Callable[[str], None] = lambda _sql: None
    """Called before each statement is run: the place to change the table meanwhile."""
    writes: int = 0
    results: list[PreparedResult] = field(default_factory=list)
    """Answers to statements in fakesnow's place."""
    parts: list[str] = field(default_factory=list)
    """Parts of results that were fetched, as `number of the result/number of the part`."""
    scheme: str = "http"

    def clear(self) -> None:
        """Forget what came and what was to go wrong."""
        self.statements.clear()
        self.logins.clear()
        self.faults.clear()
        self.results.clear()
        self.parts.clear()
        self.before = lambda _sql: None

    def texts(self, part: str = "") -> list[str]:
        """Return the statements that hold a text, in the order of arrival."""
        return [sent.sql for sent in self.statements if part in sent.sql]

    def struck(self, text: str) -> Fault | None:
        """Return the fault for a request, used up by one."""
        for fault in self.faults:
            if fault.times > 0 and fault.match in text:
                fault.times -= 1
                return fault
        return None


class _Layer:
    """The ASGI application in front of fakesnow's."""

    def __init__(self, application: Any, simulator: SnowflakeSimulator) -> None:
        self._application = application
        self._simulator = simulator
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and scope["path"].startswith(RESULTS):
            await self._answer_part(scope["path"], send)
            return
        if scope["type"] != "http" or scope["path"] not in (_LOGIN, _QUERY):
            await self._application(scope, receive, send)
            return
        body = await _whole(scope, receive)
        login = scope["path"] == _LOGIN
        fault = self._simulator.struck("login") if login else self._simulator.struck(body["sqlText"])
        if login:
            self._simulator.logins.append(body["data"])
        else:
            self._note(body)
        if fault is not None:
            await _answer(send, fault)
            return
        if not login and await self._answer_prepared(body["sqlText"], send):
            return
        sent = json.dumps(body).encode()
        # Statements of one session share a connection of DuckDB there, which is for one at a time.
        async with self._turn:
            await self._application(_plain(scope, sent), _once(sent), send)

    async def _answer_prepared(self, sql: str, send: Send) -> bool:
        simulator = self._simulator
        for number, result in enumerate(simulator.results):
            if result.match in sql:
                place = f"{simulator.scheme}://{simulator.host}:{simulator.port}{RESULTS}{number}/"
                await _send(send, 200, json.dumps(result.answer(place)).encode())
                return True
        return False

    async def _answer_part(self, path: str, send: Send) -> None:
        result, _, part = path.removeprefix(RESULTS).partition("/")
        fault = self._simulator.struck(path)
        if fault is not None:
            await _answer(send, fault)
            return
        self._simulator.parts.append(f"{result}/{part}")
        await _send(send, 200, self._simulator.results[int(result)].parts[int(part)])

    def _note(self, body: dict[str, Any]) -> None:
        simulator, sql = self._simulator, body["sqlText"]
        binds = body.get("bindings") or {}
        simulator.statements.append(Sent(sql, tuple(binds[str(place + 1)]["value"] for place in range(len(binds)))))
        simulator.before(sql)
        if _WRITES.match(sql):
            simulator.writes += 1
        body["sqlText"] = _COMMIT_TIME.sub(str(simulator.writes), sql)


@contextmanager
def running(tls: ssl.SSLContext | None = None) -> Iterator[SnowflakeSimulator]:
    """Yield a simulator on a free port of loopback, over TLS where a context is given, and stop it afterwards.

    All simulators of a process share their databases, which live in memory: use names of your own. Raises RuntimeError
    when the server does not start.
    """
    import uvicorn
    from fakesnow.server import app

    simulator = SnowflakeSimulator(scheme="http" if tls is None else "https")
    with socket.socket() as listener:
        listener.bind((simulator.host, 0))
        simulator.port = listener.getsockname()[1]
        application = _Layer(app, simulator)
        config = uvicorn.Config(application, log_level="critical", lifespan="off")
        config.load()
        config.ssl = tls
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],), name="snowflake-simulator", daemon=True)
        thread.start()
        _wait_for(lambda: server.started, thread)
        try:
            yield simulator
        finally:
            server.should_exit = True
            thread.join(_STOP_SECONDS)


def _wait_for(started: Callable[[], bool], thread: threading.Thread) -> None:
    for _ in range(_START_TICKS):
        if started():
            return
        thread.join(_TICK_SECONDS)
        if not thread.is_alive():
            break
    raise RuntimeError("the simulator did not start")


async def _whole(scope: Scope, receive: Receive) -> dict[str, Any]:
    parts: list[bytes] = []
    more = True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    data = b"".join(parts)
    headers = dict(scope["headers"])
    if headers.get(b"content-encoding") == b"gzip":
        data = gzip.decompress(data)
    body: dict[str, Any] = json.loads(data)
    return body


def _plain(scope: Scope, body: bytes) -> dict[str, Any]:
    """Return the scope of the same request with another body, which is not compressed."""
    left_out = (b"content-encoding", b"content-length")
    headers = [(name, value) for name, value in scope["headers"] if name not in left_out]
    return {**scope, "headers": [*headers, (b"content-length", str(len(body)).encode())]}


def _once(body: bytes) -> Receive:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _answer(send: Send, fault: Fault) -> None:
    data = {"errorCode": fault.code, "sqlState": fault.sql_state}
    answer = {"data": data, "code": fault.code, "message": fault.message, "success": False, "headers": None}
    body = json.dumps(answer).encode() if fault.code is not None else b""
    await _send(send, fault.status, body, fault.headers)


async def _send(send: Send, status: int, body: bytes, more: Mapping[str, str] = MappingProxyType({})) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
