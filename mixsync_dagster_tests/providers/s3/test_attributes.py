import pytest

from mixsync_dagster.errors import AccessDenied, ItemUnreadable, ProviderUnavailable, RateLimited
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.providers.s3.attributes import metadata_of, tags_of
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.support.s3_servers import Reply


def test_metadata_loses_its_prefix_and_its_case_and_nothing_else():
    headers = {"X-Amz-Meta-Camera": "X100 %2F+", "x-amz-meta-title": "caf\u00c3\u00a9", "Content-Type": "text/plain"}
    assert metadata_of(headers) == {"camera": "X100 %2F+", "title": "caf\u00e9"}


def test_metadata_that_is_no_utf8_is_kept_as_latin_1():
    assert metadata_of({"x-amz-meta-title": "caf\u00e9"}) == {"title": "caf\u00e9"}


def test_tags_are_read_with_their_entities():
    pairs = b"<Tag><Key>a</Key><Value>1&lt;2</Value></Tag><Tag><Key>b</Key><Value/></Tag>"
    body = b"<Tagging xmlns='x'><TagSet>" + pairs + b"</TagSet></Tagging>"
    assert tags_of(body) == {"a": "1<2", "b": ""}


def test_an_object_without_tags_has_none():
    assert tags_of(b"<Tagging><TagSet/></Tagging>") == {}


@pytest.mark.parametrize("body", [b"", b"<html/>", b"<Tagging>"])
def test_what_is_no_tagging_answer_is_an_outage(body):
    with pytest.raises(ProviderUnavailable):
        tags_of(body)


@pytest.mark.parametrize(
    ("status", "told", "error"),
    [
        (400, Reply(400, b"<Error><Code>ExpiredToken</Code></Error>"), AccessDenied),
        (403, Reply(403, b"<Error><Code>InvalidAccessKeyId</Code></Error>"), AccessDenied),
        (403, Reply(403, b"<Error><Code>AccessDenied</Code></Error>"), ItemUnreadable),
        (403, Reply(503, b"<Error><Code>SlowDown</Code></Error>"), RateLimited),
        (403, Reply(206, b"x"), ItemUnreadable),
        (403, Reply(416), ItemUnreadable),
    ],
)
def test_why_metadata_is_refused_is_asked_since_an_answer_without_a_body_does_not_tell(
    lying_settings, lying_server, status, told, error
):
    item = SourceItem("store/bucket/a.txt", "a.txt", "an-etag", size_bytes=1)
    lying_server.answer = lambda request: Reply(status) if request.method == "HEAD" else told
    with pytest.raises(error):
        S3Provider(lying_settings, SystemClock()).read_attributes(item, frozenset({"metadata"}))
    assert [request.method for request in lying_server.seen] == ["HEAD", "GET"]
    assert lying_server.seen[1].headers["Range"] == "bytes=0-0"
