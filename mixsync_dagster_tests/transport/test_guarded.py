import contextlib
import gzip
import socket
import threading
import time
import zlib

import pytest

from mixsync_dagster.errors import ItemCorrupt, ItemUnanswered, ItemUnreadable
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster.transport.fetch_hosts import FetchHosts
from mixsync_dagster.transport.guarded import FetchRules, GuardedFetcher
from mixsync_dagster_tests.support.certificates import Authority
from mixsync_dagster_tests.support.s3_servers import Reply, lying_server, running_lying_server  # noqa: F401 - a fixture

LOOPBACK = AddressPolicy.of(["127.0.0.1"])
CANARY = "CANARY-signature"


def port_of(server):
    return int(server.endpoint_url.rpartition(":")[2])


def fetcher_for(server, *, hosts=None, addresses=LOOPBACK, **rules):
    entries = [f"http://127.0.0.1:{port_of(server)}"] if hosts is None else hosts
    return GuardedFetcher(FetchRules(hosts=FetchHosts.of(entries), addresses=addresses, **rules))


def got(fetcher, url):
    answer = fetcher.fetch(url)
    return answer, b"".join(answer.chunks)


def refused(fetcher, url):
    with pytest.raises(ItemUnreadable) as caught:
        got(fetcher, url)
    assert CANARY not in str(caught.value)
    return caught.value.error_type, str(caught.value)


@pytest.fixture
def server(lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"bytes", {"Content-Type": "Image/PNG; charset=x"})
    return lying_server


def test_the_bytes_the_name_and_the_type_are_returned(server):
    answer, data = got(fetcher_for(server), f"{server.endpoint_url}/a%20b/photo%C3%A9.png?x=%2F&y#part")
    assert (data, answer.filename, answer.mime_type) == (b"bytes", "photoé.png", "image/png")
    assert server.seen[0].target == "/a%20b/photo%C3%A9.png?x=%2F&y"


def test_nothing_is_told_of_us(server):
    got(fetcher_for(server), f"{server.endpoint_url}/x")
    got(fetcher_for(server), f"{server.endpoint_url}/x")
    for request in server.seen:
        assert sorted(request.headers) == ["Accept", "Accept-Encoding", "Host", "User-Agent"]
        assert request.headers["User-Agent"] == "mixsync-dagster"


def test_cookies_are_neither_kept_nor_sent_after_a_redirect(server):
    there = Reply(302, b"", {"Location": "/there", "Set-Cookie": f"a={CANARY}"})
    server.answer = lambda request: there if request.target == "/" else Reply(200, b"x")
    fetcher = fetcher_for(server)
    assert got(fetcher, server.endpoint_url)[1] == got(fetcher, server.endpoint_url)[1] == b"x"
    assert [request.target for request in server.seen] == ["/", "/there"] * 2
    assert not any("Cookie" in request.headers or "Referer" in request.headers for request in server.seen)


def test_a_proxy_of_the_environment_is_not_asked(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert got(fetcher_for(server), server.endpoint_url)[1] == b"bytes"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "no url",
        "photo.png",
        "//127.0.0.1/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/x",
        "javascript:alert(1)",
        "http:///x",
        "http://127.0.0.1:port/x",
        "http://127.0.0.1/a b",
        "http://127.0.0.1/x\r\nHost: evil",
        "http://[::1/x",
        "s3://bucket/key",
    ],
)
def test_what_is_no_web_address_is_refused(server, url):
    assert refused(fetcher_for(server, hosts=["http://*"]), url)[0] == "url_refused"
    assert server.seen == []


def test_credentials_in_the_address_are_refused(server):
    url = server.endpoint_url.replace("http://", f"http://user:{CANARY}@")
    assert refused(fetcher_for(server), url) == (
        "url_refused",
        "The host 127.0.0.1 is asked for with a user name or password in the URL, which is not sent.",
    )
    assert server.seen == []


def test_a_host_that_is_not_listed_is_refused_with_a_way_out(server):
    kind, sentence = refused(fetcher_for(server, hosts=["cdn.example"]), f"{server.endpoint_url}/x?sig={CANARY}")
    assert kind == "url_refused"
    assert sentence == (
        f"The host 127.0.0.1 is not fetched from by http on port {port_of(server)}; let an administrator add it to "
        "MIXSYNC_FETCH_HOSTS if it is meant."
    )
    assert refused(fetcher_for(server, hosts=[]), server.endpoint_url)[0] == "url_refused"
    assert server.seen == []


def test_plain_http_is_refused_unless_the_host_is_listed_so(server):
    assert refused(fetcher_for(server, hosts=[f"127.0.0.1:{port_of(server)}"]), server.endpoint_url)[0] == "url_refused"


def test_an_address_that_is_not_public_is_refused_though_its_host_is_listed(server):
    kind, sentence = refused(fetcher_for(server, addresses=AddressPolicy()), f"{server.endpoint_url}/x?sig={CANARY}")
    assert kind == "address_refused"
    assert sentence == (
        "The host 127.0.0.1 stands at 127.0.0.1, which is loopback, and is not connected to; let an administrator add "
        "it to MIXSYNC_ALLOWED_ADDRESSES if it is meant."
    )
    assert server.seen == []


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
def test_loopback_is_refused_however_it_is_written(server, host):
    fetcher = fetcher_for(server, hosts=["http://*"], addresses=AddressPolicy())
    assert refused(fetcher, f"http://{host}/")[0] == "address_refused"
    assert server.seen == []


def test_every_redirect_is_judged_anew(server):
    targets = {
        "/metadata": "http://169.254.169.254/latest/meta-data/",
        "/unlisted": f"http://127.0.0.2:{port_of(server)}/",
        "/scheme": "file:///etc/passwd",
        "/credentials": f"http://user:{CANARY}@127.0.0.1:{port_of(server)}/",
    }
    server.answer = lambda request: Reply(302, b"", {"Location": targets[request.target]})
    fetcher = fetcher_for(server, hosts=[f"http://127.0.0.1:{port_of(server)}", "http://169.254.169.254"])
    found = {target: refused(fetcher, server.endpoint_url + target)[0] for target in targets}
    assert found == {
        "/metadata": "address_refused",
        "/unlisted": "url_refused",
        "/scheme": "url_refused",
        "/credentials": "url_refused",
    }


def test_a_name_that_moves_between_two_connections_is_judged_by_where_it_stands(server):
    answers = [["127.0.0.1"], ["127.0.0.3"]]
    policy = AddressPolicy.of(["127.0.0.1"], resolve=lambda _host, _port: answers.pop(0))
    server.answer = lambda _: Reply(302, b"", {"Location": "/again"})
    fetcher = fetcher_for(server, hosts=[f"http://rebinding.example:{port_of(server)}"], addresses=policy)
    kind, sentence = refused(fetcher, f"http://rebinding.example:{port_of(server)}/")
    assert (kind, "127.0.0.3" in sentence, len(server.seen)) == ("address_refused", True, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_so_many_redirects_are_followed_and_no_more(server, status):
    def answer(request):
        left = int(request.target[1:])
        return Reply(status, b"", {"Location": f"/{left - 1}"}) if left else Reply(200, b"end")

    server.answer = answer
    fetcher = fetcher_for(server, most_redirects=2)
    assert got(fetcher, f"{server.endpoint_url}/2")[1] == b"end"
    kind, sentence = refused(fetcher, f"{server.endpoint_url}/3")
    assert (kind, sentence) == ("url_refused", "The host 127.0.0.1 is behind more than 2 redirects.")
    assert len(server.seen) == 6


def test_a_redirect_to_nowhere_is_refused(server):
    server.answer = lambda _: Reply(302)
    assert refused(fetcher_for(server), server.endpoint_url)[0] == "url_refused"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, "access_denied"), (403, "access_denied"), (404, "not_found"), (410, "not_found"), (400, "url_refused")],
)
def test_a_refusal_is_the_items_for_good(server, status, kind):
    server.answer = lambda _: Reply(status, CANARY.encode())
    assert refused(fetcher_for(server), server.endpoint_url)[0] == kind


@pytest.mark.parametrize("reply", [Reply(429), Reply(500), Reply(503), Reply(408), Reply(hang_up=True)])
def test_a_failing_server_may_be_asked_again(server, reply):
    server.answer = lambda _: reply
    with pytest.raises(ItemUnanswered, match=r"127\.0\.0\.1"):
        got(fetcher_for(server), f"{server.endpoint_url}/?{CANARY}")


def test_nobody_there_may_be_asked_again():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    fetcher = GuardedFetcher(FetchRules(FetchHosts.of([f"http://*:{port}"]), LOOPBACK))
    with pytest.raises(ItemUnanswered, match="cannot be reached"):
        got(fetcher, f"http://127.0.0.1:{port}/")


def test_a_name_that_nobody_knows_may_be_asked_again():
    def unknown(host, _port):
        raise socket.gaierror(host)

    fetcher = GuardedFetcher(FetchRules(FetchHosts.of(["*"]), AddressPolicy.of([], resolve=unknown)))
    with pytest.raises(ItemUnanswered, match="The host unknown is not known here"):
        got(fetcher, "https://unknown/")


def test_more_bytes_than_allowed_are_refused_before_they_come_or_when_they_do(server):
    sentence = "127.0.0.1 answers with more than the 4 bytes that are fetched at most."
    assert refused(fetcher_for(server, most_bytes=4), server.endpoint_url) == ("too_large", sentence)
    with raw_server(b"HTTP/1.1 200 OK\r\n\r\n12345", b"") as port:
        fetcher = GuardedFetcher(FetchRules(FetchHosts.of([f"http://*:{port}"]), LOOPBACK, most_bytes=4))
        assert refused(fetcher, f"http://127.0.0.1:{port}/") == ("too_large", sentence)
    assert got(fetcher_for(server, most_bytes=5), server.endpoint_url)[1] == b"bytes"


def test_an_answer_cut_short_is_corrupt(server):
    server.answer = lambda _: Reply(200, b"x" * 10, announce=20)
    with pytest.raises(ItemCorrupt, match="inside its answer"):
        got(fetcher_for(server), server.endpoint_url)


@pytest.mark.parametrize(("name", "squeeze"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_what_is_compressed_without_being_asked_is_what_it_was(server, name, squeeze):
    data = bytes(range(256)) * 20_000
    server.answer = lambda _: Reply(200, squeeze(data), {"Content-Encoding": name})
    assert got(fetcher_for(server), server.endpoint_url)[1] == data
    server.answer = lambda _: Reply(200, squeeze(data)[:-20], {"Content-Encoding": name})
    with pytest.raises(ItemCorrupt):
        got(fetcher_for(server), server.endpoint_url)
    server.answer = lambda _: Reply(200, b"", {"Content-Encoding": name})
    assert got(fetcher_for(server), server.endpoint_url)[1] == b""


def test_several_members_of_gzip_are_one_content(server):
    server.answer = lambda _: Reply(200, gzip.compress(b"one") + gzip.compress(b"two"), {"Content-Encoding": "gzip"})
    assert got(fetcher_for(server), server.endpoint_url)[1] == b"onetwo"


def test_a_bomb_is_refused_at_the_allowed_size(server):
    bomb = gzip.compress(b"\0" * 50_000_000)
    server.answer = lambda _: Reply(200, bomb, {"Content-Encoding": "gzip"})
    chunks = []
    with pytest.raises(ItemUnreadable) as caught:
        chunks.extend(fetcher_for(server, most_bytes=3_000_000).fetch(server.endpoint_url).chunks)
    assert caught.value.error_type == "too_large"
    assert max(map(len, chunks)) <= 1024 * 1024


def test_an_unknown_encoding_is_refused(server):
    server.answer = lambda _: Reply(200, b"x", {"Content-Encoding": "br"})
    assert refused(fetcher_for(server), server.endpoint_url)[0] == "url_refused"


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('attachment; filename="report 1.pdf"', "report 1.pdf"),
        ("attachment; filename*=UTF-8''r%C3%A9sum%C3%A9.pdf", "résumé.pdf"),
        ('attachment; filename="../../etc/passwd"', "etcpasswd"),
        ('attachment; filename="C:\\\\x\\\\y.png"', "C:xy.png"),
        ("attachment", "photo.png"),
        ("attachment; filename=..", "photo.png"),
        ('attachment; filename="' + "x" * 300 + '.png"', "x" * 251 + ".png"),
    ],
)
def test_the_name_is_as_the_answer_says_and_never_a_path(server, disposition, filename):
    server.answer = lambda _: Reply(200, b"x", {"Content-Disposition": disposition})
    assert got(fetcher_for(server), f"{server.endpoint_url}/a/photo.png")[0].filename == filename


@pytest.mark.parametrize(
    ("path", "filename"), [("/", "127.0.0.1"), ("/a/", "127.0.0.1"), ("/%2e%2e%2f", "127.0.0.1"), ("/a%00b", "ab")]
)
def test_without_a_name_there_is_one_all_the_same(server, path, filename):
    assert got(fetcher_for(server), server.endpoint_url + path)[0].filename == filename


@contextlib.contextmanager
def raw_server(*pieces, delay_seconds=0.0):
    """Serve one connection: what it asks is not read, the last piece is sent again and again until it hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    for piece in pieces:
                        connection.sendall(piece)
                    while pieces[-1]:
                        time.sleep(delay_seconds)
                        connection.sendall(pieces[-1])

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "pieces",
    [
        (b"HTTP/1.1 200 OK\r\nX-Slow: ", b"a"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"a"),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"a"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["header", "body", "body-without-length", "continue"],
)
def test_a_server_that_never_ends_is_left_at_the_end_of_the_time(pieces):
    with raw_server(*pieces, delay_seconds=0.02) as port:
        rules = FetchRules(FetchHosts.of([f"http://*:{port}"]), LOOPBACK, most_seconds=0.2)
        begin = time.monotonic()
        with pytest.raises(ItemUnanswered, match="took longer than a fetch may take"):
            got(GuardedFetcher(rules), f"http://127.0.0.1:{port}/")
        assert time.monotonic() - begin < 5


def test_the_time_is_for_all_redirects_together(server):
    server.answer = lambda _: Reply(302, b"", {"Location": "/"}, delay_seconds=0.06)
    with pytest.raises(ItemUnanswered, match="took longer"):
        got(fetcher_for(server, most_seconds=0.2, most_redirects=1000), server.endpoint_url)
    assert len(server.seen) < 10


def test_a_handshake_that_never_ends_is_left_at_the_end_of_the_time():
    # A TLS record of 16 KiB is announced and comes byte by byte.
    with raw_server(b"\x16\x03\x03\x3f\xff", b"\x02", delay_seconds=0.02) as port:
        rules = FetchRules(FetchHosts.of([f"*:{port}"]), LOOPBACK, most_seconds=0.2)
        with pytest.raises(ItemUnanswered, match="took longer"):
            got(GuardedFetcher(rules), f"https://127.0.0.1:{port}/")


def test_no_thread_and_no_connection_is_left_behind(server):
    before = threading.active_count()
    fetcher = fetcher_for(server)
    got(fetcher, server.endpoint_url)
    fetcher.fetch(server.endpoint_url).chunks.close()
    answer = fetcher.fetch(server.endpoint_url)
    next(answer.chunks)
    answer.chunks.close()
    fetcher.close()
    end = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_certificates_are_verified_by_the_bundle(tmp_path):
    authority, other = Authority(tmp_path), tmp_path / "other"
    other.mkdir()
    with running_lying_server(authority.server_context()) as server:
        server.answer = lambda _: Reply(200, b"x")
        hosts = [f"127.0.0.1:{port_of(server)}"]
        assert got(fetcher_for(server, hosts=hosts, ca_bundle=authority.pem), server.endpoint_url)[1] == b"x"
        for bundle in (None, Authority(other).pem):
            kind, sentence = refused(fetcher_for(server, hosts=hosts, ca_bundle=bundle), server.endpoint_url)
            assert (kind, sentence) == (
                "url_refused",
                "The host 127.0.0.1 shows a certificate that is not trusted.",
            )
    with running_lying_server(authority.server_context(address="127.0.0.9")) as server:
        fetcher = fetcher_for(server, hosts=[f"127.0.0.1:{port_of(server)}"], ca_bundle=authority.pem)
        assert refused(fetcher, server.endpoint_url)[0] == "url_refused"
