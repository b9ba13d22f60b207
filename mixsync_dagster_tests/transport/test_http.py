from datetime import UTC, datetime

import pytest

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.transport.http import HttpPool, HttpSettings, TruncatedBody, retry_after_seconds
from mixsync_dagster_tests.support.s3_servers import Reply, lying_server  # noqa: F401 - a fixture

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture
def pool(lying_server):  # noqa: F811 - the fixture above
    pool = pool_to(lying_server)
    yield pool
    pool.close()
    pool.close()


def pool_to(server, **changes):
    port = int(server.endpoint_url.rpartition(":")[2])
    return HttpPool(HttpSettings("http", "127.0.0.1", port, **changes))


@pytest.mark.parametrize("target", ["//a", "/a//b", "/a/../b", "/./a", "/a/.", "/%2e%2E/a", "/a?b=%20+c&d", "/"])
def test_a_target_goes_over_the_wire_as_it_is(pool, lying_server, target):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"x")
    assert pool.send("GET", target, {}).read() == b"x"
    assert [request.target.replace("%2e", "%2E") for request in lying_server.seen] == [target.replace("%2e", "%2E")]


def test_redirects_are_answers(pool, lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(302, b"", {"Location": "http://127.0.0.1:1/"})
    assert pool.send("GET", "/", {}).status == 302


def test_content_is_not_decoded(pool, lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"not gzip", {"Content-Encoding": "gzip"})
    assert pool.send("GET", "/", {}).read() == b"not gzip"


def test_connections_are_used_again(pool, lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"x")
    for _ in range(5):
        pool.send("GET", "/", {}).read()
    assert pool._pool.num_connections == 1


def test_a_head_answer_is_complete_without_a_body(pool, lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"x" * 10)
    assert pool.send("HEAD", "/", {}).read() == b""


def test_chunks_are_of_the_wanted_size(pool, lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"x" * 1_000_000)
    chunks = list(pool.send("GET", "/", {}).chunks(200_000))
    assert sum(map(len, chunks)) == 1_000_000
    assert all(len(chunk) >= 200_000 for chunk in chunks[:-1])


def test_a_body_cut_short_is_told_apart_from_an_outage(pool, lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"x" * 10, announce=20)
    with pytest.raises(TruncatedBody):
        pool.send("GET", "/", {}).read()


@pytest.mark.parametrize("reply", [Reply(hang_up=True), Reply(200, b"x", delay_seconds=0.5)])
def test_no_answer_is_an_outage_that_names_the_host_and_not_the_query(lying_server, reply):  # noqa: F811 - as above
    lying_server.answer = lambda _: reply
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1") as caught:
        pool_to(lying_server, read_timeout_seconds=0.1).send("GET", "/?secret=CANARY", {})
    assert "CANARY" not in str(caught.value)


def test_an_answer_given_up_is_closed_twice_without_harm(pool, lying_server):  # noqa: F811 - the fixture above
    lying_server.answer = lambda _: Reply(200, b"x" * 1_000_000)
    answer = pool.send("GET", "/", {})
    answer.close()
    answer.close()
    assert len(pool.send("GET", "/", {}).read()) == 1_000_000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("-3", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("0", 0.0),
        ("1e3", 1000.0),
        ("99999999999", 99999999999.0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 251635031999.0),
        ("Thu, 01 Jan 2026 14:00:30 +0200", 30.0),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("-inf", None),
        ("9" * 400, None),
        ("1 minute", None),
        ("Thu, 99 Jan 2026 12:00:30 GMT", None),
        ("Thu, 01 Jan 99999 12:00:30 GMT", None),
        ("Thu, 01 Jan 2026 12:00:30 +999999", None),
        ("Thu, 01 Jan 2026", None),
        ("\x00", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after_seconds(value, NOW) == seconds
