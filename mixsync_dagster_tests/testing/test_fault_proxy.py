"""The fault proxy in front of a server that tells what it was asked."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse, IncompleteRead, RemoteDisconnected
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from mixsync_dagster.testing.fault_proxy import (
    Answer,
    AnswerWith,
    CorruptByte,
    Delay,
    Drip,
    Exchange,
    Fault,
    FaultProxy,
    Flow,
    Hang,
    Hook,
    Passage,
    ResetBefore,
    ResetInside,
    Rewrite,
    Rule,
    Truncate,
    s3_error,
)

BODY = bytes(range(256)) * 1024
"""256 KiB: more than one piece, whatever the piece."""
PATIENCE = 10.0


class Echo(BaseHTTPRequestHandler):
    """`/body` is BODY, `/chunked` the same in chunks, `/short` too few bytes; others tell what was asked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    raw_requestline: bytes

    def do_GET(self) -> None:
        given = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if "Transfer-Encoding" in self.headers:
            while size := int(self.rfile.readline(), 16):
                given += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        self.send_response(404 if "missing" in self.path else 204 if "nothing" in self.path else 200)
        if "nothing" in self.path:
            self.end_headers()
        elif "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for at in range(0, len(BODY), 1000):
                piece = BODY[at : at + 1000]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")
        elif "body" in self.path or "short" in self.path:
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(BODY[: 100 if "short" in self.path else None])
            self.close_connection = "short" in self.path
        else:
            told = {
                "line": self.raw_requestline.decode("latin-1").strip(),
                "headers": sorted([name.lower(), value] for name, value in self.headers.items()),
                "body": given.decode("latin-1"),
            }
            text = json.dumps(told).encode()
            self.send_header("Content-Length", str(len(text)))
            if "closing" in self.path:
                self.send_header("Connection", "close")
            self.send_header("X-Twice", "one")
            self.send_header("X-Twice", "two")
            self.end_headers()
            self.wfile.write(text)

    do_HEAD = do_PUT = do_POST = do_DELETE = do_PROPFIND = do_GET  # noqa: N815 - http.server's names

    def log_message(self, *args: object) -> None:
        """Stay quiet."""


class Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = Quiet(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join(PATIENCE)


@pytest.fixture
def proxy(upstream: str) -> Iterator[FaultProxy]:
    with FaultProxy(upstream, seed=1) as running:
        yield running


def connection_to(proxy: FaultProxy, timeout: float = PATIENCE) -> HTTPConnection:
    return HTTPConnection(proxy.url.removeprefix("http://"), timeout=timeout)


def ask(proxy: FaultProxy, target: str = "/body", method: str = "GET", **options: Any) -> tuple[HTTPResponse, bytes]:
    connection = connection_to(proxy)
    try:
        connection.request(method, target, **options)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


def statuses(proxy: FaultProxy, target: str = "/x", count: int = 6, **options: Any) -> list[int]:
    return [ask(proxy, target, **options)[0].status for _ in range(count)]


def last(proxy: FaultProxy) -> Exchange:
    return proxy.log[-1]


class TestPassingOn:
    def test_target_host_and_headers_reach_the_server_as_they_were(self, proxy: FaultProxy) -> None:
        target = "//a/../b/%7e%2F%C3%BC?x=%20+1&y&x=2"
        told = json.loads(ask(proxy, target, headers={"Host": "bucket.example:1234", "X-Signed": "a  b"})[1])
        assert told["line"] == f"GET {target} HTTP/1.1"
        assert told["headers"] == [
            ["accept-encoding", "identity"],
            ["host", "bucket.example:1234"],
            ["x-signed", "a  b"],
        ]

    def test_headers_of_the_answer_come_back_with_repetitions_and_nothing_added(self, proxy: FaultProxy) -> None:
        answer, _ = ask(proxy, "/x")
        names = [name for name, _ in answer.getheaders()]
        assert answer.headers.get_all("X-Twice") == ["one", "two"]
        assert sorted(names) == ["Content-Length", "Date", "Server", "X-Twice", "X-Twice"]

    def test_a_body_with_a_length_keeps_it(self, proxy: FaultProxy) -> None:
        answer, body = ask(proxy)
        assert (answer.getheader("Content-Length"), answer.getheader("Transfer-Encoding")) == (str(len(BODY)), None)
        assert body == BODY

    def test_a_chunked_body_stays_chunked(self, proxy: FaultProxy) -> None:
        answer, body = ask(proxy, "/chunked")
        assert (answer.getheader("Content-Length"), answer.getheader("Transfer-Encoding")) == (None, "chunked")
        assert body == BODY

    def test_a_chunked_body_ends_with_the_connection_for_a_client_of_http_1_0(self, proxy: FaultProxy) -> None:
        host, port = proxy.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as client:
            client.sendall(b"GET /chunked HTTP/1.0\r\n\r\n")
            received = b"".join(iter(lambda: client.recv(65536), b""))
        head, _, body = received.partition(b"\r\n\r\n")
        assert b"chunked" not in head
        assert body == BODY

    @pytest.mark.parametrize(
        ("method", "target", "status", "length"),
        [("HEAD", "/body", 200, str(len(BODY))), ("GET", "/nothing", 204, None), ("GET", "/missing", 404, None)],
    )
    def test_answers_without_a_body_keep_the_connection_usable(
        self, proxy: FaultProxy, method: str, target: str, status: int, length: str | None
    ) -> None:
        connection = connection_to(proxy)
        for _ in range(2):
            connection.request(method, target)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
            assert target == "/missing" or answer.getheader("Content-Length") == length
        connection.close()

    @pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PROPFIND"])
    def test_any_method_and_its_body_reach_the_server(self, proxy: FaultProxy, method: str) -> None:
        body = "b" * 200_000
        told = json.loads(ask(proxy, "/x", method, body=body)[1])
        assert told["line"].startswith(method)
        assert told["body"] == body
        assert ["content-length", "200000"] in told["headers"]

    def test_a_chunked_request_reaches_the_server(self, proxy: FaultProxy) -> None:
        told = json.loads(ask(proxy, "/x", "PUT", body=iter([b"one", b"two" * 1000]), encode_chunked=True)[1])
        assert told["body"] == "one" + "two" * 1000

    def test_one_connection_serves_many_requests(self, proxy: FaultProxy) -> None:
        connection = connection_to(proxy)
        connection.connect()
        first = connection.sock
        for _ in range(5):
            connection.request("PUT", "/x", body="b")
            connection.getresponse().read()
            assert connection.sock is first
        connection.close()

    def test_a_fault_that_answers_itself_leaves_the_connection_at_the_next_request(self, proxy: FaultProxy) -> None:
        proxy.add(AnswerWith(503), times=1)
        connection = connection_to(proxy)
        connection.request("PUT", "/x", body="b" * 100_000)
        answer = connection.getresponse()
        answer.read()
        connection.request("PUT", "/y", body="c")
        assert (answer.status, connection.getresponse().status) == (503, 200)
        connection.close()

    def test_a_body_streams(self, proxy: FaultProxy) -> None:
        hang = Hang(after_bytes=1000)
        proxy.add(hang)
        connection = connection_to(proxy)
        connection.request("GET", "/body")
        answer = connection.getresponse()
        assert answer.read(1000) == BODY[:1000]
        hang.release()
        assert answer.read() == BODY[1000:]
        connection.close()

    def test_a_server_that_ends_inside_its_answer_ends_the_clients_too(self, proxy: FaultProxy) -> None:
        with pytest.raises((IncompleteRead, ConnectionResetError)):
            ask(proxy, "/short")
        assert last(proxy).ended == "reset"

    def test_a_server_that_is_not_there_resets_the_connection(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}"
        with FaultProxy(address) as proxy, pytest.raises((ConnectionResetError, RemoteDisconnected)):
            ask(proxy)

    @pytest.mark.parametrize("address", ["https://127.0.0.1:1", "127.0.0.1:1", "http://127.0.0.1:1/base", "http://"])
    def test_an_address_that_is_no_http_server_is_refused(self, address: str) -> None:
        with pytest.raises(ValueError, match=r"upstream: .* is not accepted"):
            FaultProxy(address)

    def test_many_threads_get_their_own_answers(self, proxy: FaultProxy) -> None:
        with ThreadPoolExecutor(16) as pool:
            lines = list(pool.map(lambda n: json.loads(ask(proxy, f"/t{n}")[1])["line"], range(200)))
        assert lines == [f"GET /t{n} HTTP/1.1" for n in range(200)]
        assert [exchange.request.number for exchange in proxy.log] == list(range(1, 201))


class TestFaults:
    def test_a_status_with_headers_and_body_takes_the_servers_place(self, proxy: FaultProxy) -> None:
        proxy.add(s3_error(503, "SlowDown", retry_after=7))
        answer, body = ask(proxy)
        assert (answer.status, answer.reason, answer.getheader("Retry-After")) == (503, "Service Unavailable", "7")
        assert b"<Code>SlowDown</Code>" in body
        assert answer.getheader("Content-Length") == str(len(body))
        assert last(proxy).faults == ("status",)

    @pytest.mark.parametrize("forwarded", [False, True])
    def test_a_reset_before_the_answer_leaves_the_server_unasked_unless_told(
        self, proxy: FaultProxy, forwarded: bool
    ) -> None:
        asked: list[str] = []
        proxy.add(Hook(on_answer=lambda request: asked.append(request.path)), ResetBefore(forwarded=forwarded))
        with pytest.raises(ConnectionResetError):
            ask(proxy, "/x")
        assert asked == (["/x"] if forwarded else [])
        assert (last(proxy).status, last(proxy).ended) == (None, "reset")
        assert "reset_before" in last(proxy).faults

    def test_a_reset_inside_the_body_comes_at_its_byte(self, proxy: FaultProxy) -> None:
        proxy.add(ResetInside(5000))
        connection = connection_to(proxy)
        connection.request("GET", "/body")
        answer = connection.getresponse()
        with pytest.raises(ConnectionResetError):
            answer.read()
        connection.close()
        assert (last(proxy).status, last(proxy).bytes_sent, last(proxy).ended) == (200, 5000, "reset")

    @pytest.mark.parametrize("target", ["/body", "/chunked"])
    def test_a_truncated_body_ends_in_an_orderly_way_before_its_announced_end(
        self, proxy: FaultProxy, target: str
    ) -> None:
        proxy.add(Truncate(5000))
        with pytest.raises(IncompleteRead) as caught:
            ask(proxy, target)
        assert target == "/chunked" or caught.value.partial == BODY[:5000]
        assert (last(proxy).bytes_sent, last(proxy).ended) == (5000, "closed")

    @pytest.mark.parametrize("target", ["/body", "/chunked"])
    def test_a_body_cut_with_its_announcement_looks_complete(self, proxy: FaultProxy, target: str) -> None:
        proxy.add(Truncate(70_000, announce="cut"))
        assert ask(proxy, target)[1] == BODY[:70_000]
        assert (last(proxy).faults, last(proxy).ended) == (("truncate",), None)

    @pytest.mark.parametrize("position", [0, 70_000, len(BODY) - 1])
    def test_one_byte_is_corrupt_and_no_other(self, proxy: FaultProxy, position: int) -> None:
        proxy.add(CorruptByte(position))
        body = ask(proxy)[1]
        assert [at for at in range(len(BODY)) if body[at] != BODY[at]] == [position]

    @pytest.mark.parametrize(
        "fault",
        [ResetInside(len(BODY)), Truncate(len(BODY)), Truncate(len(BODY), announce="cut"), CorruptByte(len(BODY))],
    )
    def test_a_body_too_short_for_a_fault_passes_whole_and_nothing_is_counted(
        self, proxy: FaultProxy, fault: Fault
    ) -> None:
        proxy.add(fault)
        assert ask(proxy)[1] == BODY
        assert ask(proxy, "/body", "HEAD")[0].getheader("Content-Length") == str(len(BODY))
        assert proxy.counts() == {}

    def test_a_delay_waits_before_the_server_is_asked(self, proxy: FaultProxy) -> None:
        proxy.add(Delay(0.2))
        connection = connection_to(proxy, timeout=0.05)
        connection.request("GET", "/x")
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()
        assert ask(proxy, "/x")[0].status == 200

    @pytest.mark.parametrize("after_bytes", [None, 0, 5000])
    def test_a_hang_lasts_until_it_is_released(self, proxy: FaultProxy, after_bytes: int | None) -> None:
        hang = Hang(after_bytes=after_bytes)
        proxy.add(hang)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask, proxy)
            assert hang.reached.wait(PATIENCE)
            assert last(proxy).bytes_sent == (after_bytes or 0)
            assert not answer.done()
            hang.release()
            assert answer.result(PATIENCE)[1] == BODY

    def test_closing_waits_for_nothing_when_the_server_closes_its_connections(self, proxy: FaultProxy) -> None:
        assert ask(proxy, "/closing")[0].status == 200
        proxy.close()

    @pytest.mark.parametrize("fault", [Hang(), Hang(after_bytes=10), Delay(3600), Drip(3600)])
    def test_closing_ends_what_hangs_or_waits(self, upstream: str, fault: Fault) -> None:
        proxy = FaultProxy(upstream)
        proxy.add(fault)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask, proxy)
            assert _until(lambda: proxy.counts() != {})
            proxy.close()
            proxy.close()
            with pytest.raises((OSError, IncompleteRead)):
                answer.result(PATIENCE)

    def test_a_drip_gives_one_byte_at_a_time(self, proxy: FaultProxy) -> None:
        seen: list[int] = []
        proxy.add(Drip(each=seen.append))
        body = ask(proxy, "/x")[1]
        assert seen == list(range(1, len(body) + 1))
        assert json.loads(body)["line"] == "GET /x HTTP/1.1"

    def test_the_pieces_of_a_drip_are_as_large_as_told_and_apart_as_told(self, proxy: FaultProxy) -> None:
        proxy.add(Drip(3600, piece_bytes=1000))
        connection = connection_to(proxy, timeout=0.2)
        connection.request("GET", "/body")
        answer = connection.getresponse()
        assert answer.read(1000) == BODY[:1000]
        with pytest.raises(TimeoutError):
            answer.read(1)
        connection.close()
        assert last(proxy).bytes_sent == 1000

    def test_hooks_are_called_before_after_and_inside(self, proxy: FaultProxy) -> None:
        seen: list[tuple[str, int | None, int]] = []

        def note(name: str) -> Callable[[object], None]:
            return lambda _request: seen.append((name, last(proxy).status, last(proxy).bytes_sent))

        proxy.add(Hook(on_request=note("request"), on_answer=note("answer"), on_body=note("body"), after_bytes=4000))
        assert ask(proxy)[1] == BODY
        assert seen == [("request", None, 0), ("answer", None, 0), ("body", 200, 4000)]

    def test_an_answer_is_rewritten_and_announced_by_its_new_length(self, proxy: FaultProxy) -> None:
        def rewriting(_request: object, answer: Answer) -> Answer:
            headers = (*answer.headers, ("X-Length", str(len(answer.body))), ("Content-Length", "9"))
            return replace(answer, status=201, headers=headers, body=answer.body[:1000] + b"tail")

        proxy.add(Rewrite(rewriting))
        answer, body = ask(proxy, "/chunked")
        assert (answer.status, answer.getheader("X-Length")) == (201, str(len(BODY)))
        assert body == BODY[:1000] + b"tail"
        assert answer.headers.get_all("Content-Length") == ["1004"]

    def test_a_rewritten_head_keeps_the_announced_length(self, proxy: FaultProxy) -> None:
        proxy.add(Rewrite(lambda _request, answer: replace(answer, headers=(("ETag", "new"),))))
        answer, _ = ask(proxy, "/body", "HEAD")
        assert (answer.getheader("ETag"), answer.getheader("Content-Length")) == ("new", str(len(BODY)))

    def test_several_faults_of_a_rule_are_applied_in_their_order(self, proxy: FaultProxy) -> None:
        proxy.add(CorruptByte(10), Truncate(20, announce="cut"))
        body = ask(proxy)[1]
        assert body == BODY[:10] + bytes((BODY[10] ^ 0xFF,)) + BODY[11:20]
        assert last(proxy).faults == ("corrupt", "truncate")

    def test_a_fault_of_your_own_changes_the_answer(self, proxy: FaultProxy) -> None:
        class Shouting(Fault):
            kind = "shouting"

            def change(self, passage: Passage, flow: Flow) -> Flow:
                passage.strike(self.kind)
                return replace(flow, pieces=(piece.upper() for piece in flow.pieces))

        proxy.add(Shouting())
        assert b"GET /X HTTP" in ask(proxy, "/x")[1]
        assert proxy.counts() == {"shouting": 1}

    @pytest.mark.parametrize("error", [AssertionError("mine"), ConnectionResetError("mine")])
    def test_an_exception_of_a_hook_is_raised_when_the_proxy_closes(self, upstream: str, error: Exception) -> None:
        def fail(_request: object) -> None:
            raise error

        proxy = FaultProxy(upstream)
        proxy.add(Hook(on_body=fail))
        with pytest.raises((IncompleteRead, ConnectionResetError)):
            ask(proxy)
        with pytest.raises(type(error), match="mine"):
            proxy.close()


class TestRules:
    def test_a_rule_strikes_what_it_names(self, proxy: FaultProxy) -> None:
        proxy.add(
            AnswerWith(418),
            method=("GET", "DELETE"),
            path=r"^/a%20b/\d+$",
            query={"list-type": "^2$", "prefix": "", "token": None},
            when=lambda request: request.headers.get("x-me") == "yes",
        )
        target, headers = "/a%20b/7?list-type=2&prefix=%C3%BC", {"X-Me": "yes"}
        assert ask(proxy, target, headers=headers)[0].status == 418
        assert ask(proxy, target, "DELETE", headers=headers)[0].status == 418
        for other in (
            target.replace("7", "x"),
            target.replace("=2", "=22"),
            target.replace("prefix", "suffix"),
            target + "&token=",
        ):
            assert ask(proxy, other, headers=headers)[0].status == 200
        assert ask(proxy, target)[0].status == 200
        assert ask(proxy, target, "PUT", headers=headers)[0].status == 200

    @pytest.mark.parametrize(
        ("counts", "struck"),
        [
            ({}, [1, 2, 3, 4, 5, 6]),
            ({"times": 2}, [1, 2]),
            ({"first": 3, "times": 1}, [3]),
            ({"first": 2, "every": 2}, [2, 4, 6]),
            ({"every": 3, "times": 1}, [1]),
            ({"probability": 0.0}, []),
            ({"probability": 1.0, "first": 5}, [5, 6]),
        ],
    )
    def test_a_rule_counts_the_requests_that_match(
        self, proxy: FaultProxy, counts: dict[str, Any], struck: list[int]
    ) -> None:
        rule = proxy.add(AnswerWith(418), path="/x", **counts)
        seen = []
        for number in range(1, 7):
            ask(proxy, "/other")
            if ask(proxy, "/x")[0].status == 418:
                seen.append(number)
        assert seen == struck
        assert (rule.matched, rule.taken) == (6, len(struck))

    def test_a_seed_strikes_the_same_requests_in_whatever_order_they_come(self, upstream: str) -> None:
        def struck(seed: int, numbers: list[int]) -> dict[int, int]:
            with FaultProxy(upstream, seed=seed) as proxy:
                proxy.add(AnswerWith(418), probability=0.3)
                return {n: statuses(proxy, f"/{n}", 2).count(418) for n in numbers}

        numbers = list(range(60))
        first = struck(7, numbers)
        assert first == struck(7, numbers[::-1])
        assert first != struck(8, numbers)
        assert 15 <= sum(first.values()) <= 57

    def test_the_first_rule_that_takes_a_request_decides(self, proxy: FaultProxy) -> None:
        proxy.add(AnswerWith(418), times=1)
        second = proxy.add(Rule(AnswerWith(503), times=1))
        assert statuses(proxy, count=3) == [418, 503, 200]
        assert second.matched == 2

    def test_cleared_rules_strike_no_more(self, proxy: FaultProxy) -> None:
        proxy.add(AnswerWith(418))
        assert statuses(proxy, count=1) == [418]
        proxy.clear()
        assert statuses(proxy, count=1) == [200]

    @pytest.mark.parametrize(
        "wrong", [{"times": 0}, {"first": 0}, {"every": -1}, {"probability": 1.5}, {"probability": -0.1}]
    )
    def test_counts_without_sense_are_refused(self, proxy: FaultProxy, wrong: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}: .* is not accepted"):
            proxy.add(AnswerWith(418), **wrong)
        with pytest.raises(ValueError, match="faults: none is given"):
            proxy.add()


def test_the_log_tells_every_exchange_and_counts_go_by_kind(proxy: FaultProxy) -> None:
    proxy.add(CorruptByte(0), path="/body", times=2)
    proxy.add(AnswerWith(429, body=b"slow"), path="/busy")
    for target in ("/body?a=1", "/body?a=2", "/body?a=3", "/busy", "/missing"):
        ask(proxy, target)
    told = [
        (e.request.number, e.request.method, e.request.path, e.request.query, e.status, e.faults) for e in proxy.log
    ]
    assert told == [
        (1, "GET", "/body", "a=1", 200, ("corrupt",)),
        (2, "GET", "/body", "a=2", 200, ("corrupt",)),
        (3, "GET", "/body", "a=3", 200, ()),
        (4, "GET", "/busy", "", 429, ("status",)),
        (5, "GET", "/missing", "", 404, ()),
    ]
    assert [exchange.bytes_sent for exchange in proxy.log][:4] == [len(BODY), len(BODY), len(BODY), 4]
    assert proxy.counts() == {"corrupt": 2, "status": 1}


def _until(true: Callable[[], bool]) -> bool:
    ticks = threading.Event()
    return any(true() or ticks.wait(0.01) for _ in range(1000))
