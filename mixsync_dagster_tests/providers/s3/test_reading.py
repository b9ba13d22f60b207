"""Reads against a server that lies."""

import hashlib
from dataclasses import replace

import pytest

from mixsync_dagster.errors import (
    AccessDenied,
    ItemChanged,
    ItemCorrupt,
    ItemUnreadable,
    ItemVanished,
    PathNotFound,
    ProviderUnavailable,
    RateLimited,
)
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster_tests.support.s3_servers import Reply

MODIFIED = "Tue, 24 Nov 2026 03:35:31 GMT"
SMALL = b"the content"
LARGE = bytes(range(256)) * 4096 * 3


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def item_of(content, path="a.txt", **changes):
    return replace(SourceItem("store/bucket/" + path, path, md5(content), size_bytes=len(content)), **changes)


def ok(content, etag=None, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(200, content, {"ETag": f'"{etag or md5(content)}"', "Last-Modified": MODIFIED} | named)


def refused(status, code, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode(), named)


@pytest.fixture
def provider(lying_settings):
    return S3Provider(lying_settings, SystemClock())


# Both ways of reading: obstore for small plain keys, the signed client for the rest.
BOTH = pytest.mark.parametrize(
    "item", [item_of(SMALL), item_of(SMALL, "a//b.txt"), item_of(LARGE)], ids=["small", "ugly", "large"]
)


def content_of(item):
    return LARGE if item.size_bytes == len(LARGE) else SMALL


def fetch(provider, item):
    return b"".join(provider.read(item))


@BOTH
def test_the_listed_version_is_asked_for_and_read(provider, lying_server, item):
    lying_server.answer = lambda _: ok(content_of(item))
    assert fetch(provider, item) == content_of(item)
    (request,) = lying_server.seen
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert headers["if-match"] == f'"{item.version}"'
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIDTESTING")


@BOTH
def test_an_answer_of_another_version_is_refused_although_the_precondition_was_ignored(provider, lying_server, item):
    lying_server.answer = lambda _: ok(content_of(item), etag="0" * 32)
    with pytest.raises(ItemChanged):
        fetch(provider, item)


@BOTH
def test_an_answer_that_tells_no_version_is_refused(provider, lying_server, item):
    lying_server.answer = lambda _: Reply(200, content_of(item), {"Last-Modified": MODIFIED})
    with pytest.raises(ItemChanged):
        fetch(provider, item)


@BOTH
def test_wrong_bytes_under_the_right_etag_are_corrupt(provider, lying_server, item):
    wrong = b"X" + content_of(item)[1:]
    lying_server.answer = lambda _: ok(wrong, etag=item.version)
    with pytest.raises(ItemCorrupt):
        fetch(provider, item)


@BOTH
def test_a_body_cut_short_is_corrupt(provider, lying_server, item):
    lying_server.answer = lambda _: replace(ok(content_of(item)), body=content_of(item)[:-5], announce=item.size_bytes)
    with pytest.raises(ItemCorrupt):
        fetch(provider, item)


@BOTH
@pytest.mark.parametrize("change", [-1, 1])
def test_a_body_of_another_size_than_listed_is_corrupt(provider, lying_server, item, change):
    body = content_of(item)[:-1] if change < 0 else content_of(item) + b"x"
    lying_server.answer = lambda _: ok(body, etag=item.version)
    with pytest.raises(ItemCorrupt, match="listed with"):
        fetch(provider, item)


@BOTH
@pytest.mark.parametrize("header", ["x-amz-server-side-encryption", "x-amz-server-side-encryption-customer-algorithm"])
def test_the_etag_of_an_object_encrypted_with_a_key_is_no_checksum(provider, lying_server, item, header):
    item = replace(item, version="f" * 32)
    lying_server.answer = lambda request: Reply(
        200, content_of(item), {"ETag": f'"{item.version}"', "Last-Modified": MODIFIED, header: "aws:kms"}
    )
    assert fetch(provider, item) == content_of(item)
    asked = [request.method for request in lying_server.seen]
    assert fetch(provider, item) == content_of(item)
    assert [request.method for request in lying_server.seen][len(asked) :] == ["GET"]


def test_an_etag_of_many_parts_is_no_checksum(provider, lying_server):
    lying_server.answer = lambda _: ok(SMALL, etag="f" * 32 + "-2")
    assert fetch(provider, item_of(SMALL, version="f" * 32 + "-2")) == SMALL


@BOTH
@pytest.mark.parametrize(
    ("status", "code", "error", "kind"),
    [
        (404, "NoSuchKey", ItemVanished, "vanished"),
        (412, "PreconditionFailed", ItemChanged, "changed_while_reading"),
        (403, "InvalidObjectState", ItemUnreadable, "archived"),
        (403, "AccessDenied", ItemUnreadable, "access_denied"),
        (400, "InvalidRequest", ItemUnreadable, "refused"),
    ],
)
def test_refusals_of_one_object_are_that_items_failure(provider, lying_server, item, *, status, code, error, kind):
    lying_server.answer = lambda _: refused(status, code)
    with pytest.raises(error, match=r"a(\.|//b\.)txt") as caught:
        fetch(provider, item)
    assert caught.value.error_type == kind


@BOTH
@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (refused(500, "InternalError"), ProviderUnavailable),
        (Reply(502, b"<html>"), ProviderUnavailable),
        (refused(503, "Maintenance"), ProviderUnavailable),
        (Reply(hang_up=True), ProviderUnavailable),
        (refused(404, "NoSuchBucket"), PathNotFound),
        (refused(403, "InvalidAccessKeyId"), AccessDenied),
        (refused(400, "ExpiredToken"), AccessDenied),
    ],
)
def test_refusals_of_everything_are_not_the_items_failure(provider, lying_server, item, reply, error):
    lying_server.answer = lambda _: reply
    with pytest.raises(error):
        fetch(provider, item)


@BOTH
@pytest.mark.parametrize("reply", [refused(503, "SlowDown", Retry_After="7"), Reply(429, b"", {"Retry-After": "7"})])
def test_slow_down_tells_the_wait_that_the_service_named(provider, lying_server, item, reply):
    lying_server.answer = lambda _: reply
    with pytest.raises(RateLimited) as caught:
        fetch(provider, item)
    assert caught.value.retry_after_seconds == 7.0


@BOTH
def test_a_silent_server_is_an_outage(lying_settings, lying_server, item):
    lying_server.answer = lambda _: replace(ok(SMALL), delay_seconds=1.0)
    with pytest.raises(ProviderUnavailable):
        fetch(S3Provider(replace(lying_settings, read_timeout_seconds=0.2), SystemClock()), item)


def test_a_closed_port_is_an_outage(lying_settings):
    provider = S3Provider(replace(lying_settings, endpoint_url="http://127.0.0.1:1"), SystemClock())
    for item in (item_of(SMALL), item_of(LARGE)):
        with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:1|127\.0\.0\.1"):
            fetch(provider, item)


@BOTH
def test_a_retrier_waits_as_long_as_the_service_asks_and_reads_then(provider, lying_server, item):
    clock = SimulatedClock()
    retrier = Retrier(clock, seed=1)
    busy = refused(503, "SlowDown", Retry_After="30")
    lying_server.answer = lambda _: busy if clock.monotonic() < 30 else ok(content_of(item))
    assert b"".join(retrying(provider, retrier).read(item)) == content_of(item)
    assert clock.monotonic() >= 30
    assert retrier.rate_limit_hits == 1


@BOTH
def test_zero_bytes_are_read_as_nothing(provider, lying_server, item):
    lying_server.answer = lambda _: ok(b"")
    assert fetch(provider, item_of(b"", item.path)) == b""


def test_a_trickling_answer_ends_at_its_deadline(lying_settings, lying_server):
    class Racing(SimulatedClock):
        def monotonic(self):
            self.advance(100)
            return super().monotonic()

    lying_server.answer = lambda _: ok(LARGE)
    with pytest.raises(ProviderUnavailable, match="slowly"):
        fetch(S3Provider(lying_settings, Racing()), item_of(LARGE))


@pytest.mark.parametrize(
    ("key", "target"),
    [
        ("n\nl", "/bucket/n%0Al"),
        ("/abs", "/bucket//abs"),
        ("a/../b", "/bucket/a/../b"),
        ("./x", "/bucket/./x"),
        ("tr/", "/bucket/tr/"),
        ("a//b?c#d", "/bucket/a//b%3Fc%23d"),
        ("p%25 +", "/bucket/p%2525%20%2B"),
    ],
)
def test_a_key_goes_over_the_wire_exactly(provider, lying_server, key, target):
    lying_server.answer = lambda _: ok(SMALL)
    fetch(provider, item_of(SMALL, key))
    assert [request.target for request in lying_server.seen] == [target]


def test_variables_of_the_environment_lead_nothing_elsewhere(monkeypatch, lying_settings, lying_server):
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:1",
        "AWS_SESSION_TOKEN": "of-somebody-else",
        "AWS_REQUEST_PAYER": "requester",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_REGION": "mars-1",
    }.items():
        monkeypatch.setenv(name, value)
    lying_server.answer = lambda _: ok(SMALL)
    assert fetch(S3Provider(lying_settings, SystemClock()), item_of(SMALL)) == SMALL
    (request,) = lying_server.seen
    headers = {name.lower(): value for name, value in request.headers.items()}
    assert "x-amz-security-token" not in headers
    assert "x-amz-request-payer" not in headers
    assert "/us-east-1/s3/" in headers["authorization"]
