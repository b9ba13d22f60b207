import socket
from dataclasses import replace

import pytest

from mixsync_dagster.errors import (
    AccessDenied,
    ConfigurationError,
    CursorExpired,
    PathNotFound,
    ProviderUnavailable,
    RateLimited,
)
from mixsync_dagster.model.items import items_of
from mixsync_dagster.ports.provider import Cursor
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.providers.s3.pages_made import answer, entry
from mixsync_dagster_tests.providers.s3.test_reading import item_of, ok, refused
from mixsync_dagster_tests.support.s3_servers import Reply


def paths(provider, **options):
    return [item.path for page in provider.list_pages(**options) for item in items_of(page.items)]


@pytest.fixture
def provider(lying_settings):
    return S3Provider(lying_settings, SystemClock())


# What the source path names


def test_a_prefix_is_a_folder(aws_world):
    for path in ("in/a", "in/b/c", "into", "in-x/d"):
        aws_world.put(path, b"x")
    provider = aws_world.provider("in")
    assert provider.root == "in/"
    assert paths(provider) == ["in/a", "in/b/c"]


def test_a_prefix_that_is_an_object_is_only_this_object(aws_world):
    for path in ("in/a", "in/a/b", "in/a.txt"):
        aws_world.put(path, b"x")
    provider = aws_world.provider("in/a")
    provider.check()
    assert provider.root == "in/"
    assert paths(provider) == ["in/a"]
    assert paths(aws_world.provider("in/a/")) == ["in/a/b"]


def test_a_provider_can_be_narrowed_below_its_folder(aws_world):
    for path in ("in/2025/a", "in/2026/b", "in/20x", "in/other"):
        aws_world.put(path, b"x")
    provider = aws_world.provider("in", narrowed_to="20")
    assert provider.root == "in/"
    assert paths(provider) == ["in/2025/a", "in/2026/b", "in/20x"]


def test_a_narrowing_that_cannot_fit_the_one_object_is_refused(aws_world):
    aws_world.put("in/a", b"x")
    with pytest.raises(ConfigurationError, match=r"provider_filters\.prefix"):
        aws_world.provider("in/a", narrowed_to="b").check()


def test_an_empty_bucket_exists(aws_world):
    provider = aws_world.provider()
    provider.check()
    assert provider.root == ""


def test_a_cursor_of_another_folder_is_refused(aws_world):
    aws_world.put("in/a", b"x")
    with pytest.raises(CursorExpired):
        paths(aws_world.provider("in"), after=Cursor("other/z"))


def test_identities_name_endpoint_and_bucket(aws_world):
    aws_world.put("in/a", b"x")
    host = aws_world.bucket.server.endpoint_url.removeprefix("http://")
    (page,) = aws_world.provider("in").list_pages()
    assert page.items["source_object_id"].to_pylist() == [f"{host}/{aws_world.bucket.name}/in/a"]


# What check says


def test_a_bucket_that_does_not_exist_is_named(aws_world):
    with pytest.raises(PathNotFound, match="no-such-bucket"):
        aws_world.provider(container="no-such-bucket").check()


def test_keys_that_the_second_service_does_not_know_are_denied(generic_world):
    with pytest.raises(AccessDenied, match="access key"):
        generic_world.provider(access_key_id="AKIDUNKNOWN", secret_access_key="wrong").check()
    with pytest.raises(AccessDenied, match="secret"):
        generic_world.provider(secret_access_key="wrong").check()


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        (refused(404, "NoSuchBucket"), PathNotFound, "bucket bucket does not exist"),
        (refused(403, "AccessDenied"), AccessDenied, "s3:ListBucket"),
        (refused(403, "SignatureDoesNotMatch"), AccessDenied, "secret"),
        (refused(403, "RequestTimeTooSkewed"), AccessDenied, "clock"),
        (refused(301, "PermanentRedirect", x_amz_bucket_region="eu-west-3"), ConfigurationError, "region to eu-west-3"),
        (Reply(301, b""), ConfigurationError, "another region"),
        (
            Reply(400, b"<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-north-1</Region></Error>"),
            ConfigurationError,
            "set region to eu-north-1",
        ),
        (
            Reply(
                400,
                b"<Error><Code>AuthorizationHeaderMalformed</Code>"
                b"<Message>the region 'us-east-1' is wrong; expecting 'ap-south-1'</Message></Error>",
            ),
            ConfigurationError,
            "set region to ap-south-1",
        ),
        (refused(503, "SlowDown", Retry_After="3"), RateLimited, "slow down"),
        (refused(500, "InternalError"), ProviderUnavailable, "500"),
        (Reply(200, b"<html>a proxy's page</html>"), ProviderUnavailable, "no listing"),
        (Reply(200, answer([entry("a")])[:-9]), ProviderUnavailable, "cut short"),
        (replace(Reply(200, answer([entry("a")])), announce=4000), ProviderUnavailable, "broke inside an answer"),
        (refused(400, "InvalidArgument"), ConfigurationError, "InvalidArgument"),
    ],
)
def test_check_says_what_is_wrong(provider, lying_server, reply, error, words):
    lying_server.answer = lambda _: reply
    with pytest.raises(error, match=words):
        provider.check()


def test_check_fails_soon_when_nobody_listens(lying_settings):
    with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1"):
        S3Provider(replace(lying_settings, endpoint_url="http://127.0.0.1:1"), SystemClock()).check()


def test_no_error_shows_a_secret(lying_settings, lying_server):
    settings = replace(lying_settings, secret_access_key="CANARY-secret", session_token="CANARY-token")
    lying_server.answer = lambda _: refused(403, "SignatureDoesNotMatch")
    provider = S3Provider(settings, SystemClock())
    with pytest.raises(AccessDenied) as caught:
        provider.check()
    shown = f"{settings!r} {provider!r} {provider._client._store!r} {caught.value!r} {caught.value.__cause__!r}"
    assert "CANARY" not in shown


def test_a_list_request_is_the_cheapest_that_does(provider, lying_server):
    lying_server.answer = lambda _: Reply(200, answer([entry("\u00ff")]))
    assert paths(provider, after=Cursor("%C3%A9%2B/x")) == ["\u00ff"]
    (request,) = lying_server.seen
    assert request.target == "/bucket/?encoding-type=url&list-type=2&max-keys=1000&start-after=%C3%A9%2B%2Fx"


def test_a_directory_bucket_is_refused_at_once(lying_settings):
    with pytest.raises(ConfigurationError, match="directory bucket"):
        S3Provider(replace(lying_settings, container="logs--use1-az4--x-s3"), SystemClock())


# Tigris


@pytest.fixture
def tigris(lying_server, monkeypatch):
    """A Tigris provider whose names resolve to the recording server; obstore reaches it as its proxy."""
    port = int(lying_server.endpoint_url.rpartition(":")[2])
    known = socket.getaddrinfo

    def resolve(host, *args, **options):
        return known("127.0.0.1" if str(host).endswith(".test") else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setenv("HTTP_PROXY", lying_server.endpoint_url)
    monkeypatch.setenv("http_proxy", lying_server.endpoint_url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    settings = S3Settings(
        container="photos",
        dialect="tigris",
        endpoint_url=f"http://t3.storage.test:{port}",
        access_key_id="tid_x",
        secret_access_key="tsec_x",
    )
    return S3Provider(settings, SystemClock())


def sent(request):
    return {name.lower(): value for name, value in request.headers.items()}


def test_tigris_requests_name_the_bucket_in_the_host_and_ask_for_consistency(tigris, lying_server):
    contents = {"/": answer([entry("a//b", 11, '"x"'), entry("plain", 11, '"x"')])}
    lying_server.answer = lambda request: (
        Reply(200, contents["/"]) if "list-type" in request.target else ok(b"the content", etag="x")
    )
    items = [item for page in tigris.list_pages() for item in items_of(page.items)]
    for item in items:
        assert b"".join(tigris.read(item)) == b"the content"
    tigris.read_attributes(items[0], frozenset({"metadata"}))
    listing, ugly, plain, head = lying_server.seen
    assert listing.target.startswith("/?encoding-type=url")
    assert ugly.target == "/a//b"
    assert plain.target.endswith("/plain")
    assert (head.method, head.target) == ("HEAD", "/a//b")
    port = lying_server.endpoint_url.rpartition(":")[2]
    for request in lying_server.seen:
        headers = sent(request)
        assert headers["host"] == f"photos.t3.storage.test:{port}"
        assert headers["x-tigris-consistent"] == "true"
        assert "/auto/s3/aws4_request" in headers["authorization"]
        assert "x-tigris-consistent" in headers["authorization"]


def test_tags_are_asked_of_the_object(provider, lying_server):
    lying_server.answer = lambda _: Reply(
        200, b"<Tagging><TagSet><Tag><Key>a&amp;b</Key><Value>c%20d+</Value></Tag></TagSet></Tagging>"
    )
    found = provider.read_attributes(item_of(b"x", "k y"), frozenset({"tag", "column"}))
    assert found == {"tag": {"a&b": "c%20d+"}}
    assert [request.target for request in lying_server.seen] == ["/bucket/k%20y?tagging="]
