import pytest

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.providers.s3.attributes import metadata_of, tags_of


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
