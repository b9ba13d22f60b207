"""Listings without an order go on by the service's own tokens, as long as their provider remembers them."""

from dataclasses import replace

import pytest

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.model.items import items_of
from mixsync_dagster.providers.s3.listing import TOKENS_KEPT, Tokens
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.testing.fault_proxy import FaultProxy, ResetInside
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures
from mixsync_dagster_tests.providers.s3.faulted import LISTING, Faulted
from mixsync_dagster_tests.providers.s3.test_reading import refused
from mixsync_dagster_tests.support.s3_servers import Reply


@pytest.fixture
def faulted(make_world, moto_bucket):  # noqa: F811 - the fixture above
    with FaultProxy(moto_bucket.server.endpoint_url, seed=1) as proxy:
        yield Faulted(make_world(), moto_bucket, proxy)


def test_a_page_that_breaks_is_asked_for_again_and_no_page_before_it(faulted):
    for number in range(12):
        faulted.put(f"f{number:02}.txt", b"x" * (number + 1))
    faulted.proxy.add(ResetInside(900), query=LISTING, first=2, times=1)
    assert faulted.run(dialect="generic").counters.created == 12
    asked = [query.partition("continuation-token=")[2][:8] for _, path, query in faulted.asked if not path]
    assert len(asked) == 4
    assert asked[0] == ""
    assert asked[1] == asked[2] != asked[3]


def fill(world):
    for number in range(9):
        world.put(f"f{number}.txt", b"x")


def test_a_listing_goes_on_behind_the_last_page(generic_world):
    fill(generic_world)
    generic_world.page_rows = 2
    provider = generic_world.provider()
    pages = provider.list_pages()
    given = [next(pages), next(pages)]
    pages.close()
    rest = list(provider.list_pages(given[-1].cursor))
    paths = [item.path for page in (*given, *rest) for item in items_of(page.items)]
    assert paths == [f"f{number}.txt" for number in range(9)]
    assert rest[-1].cursor is None


def test_another_provider_starts_again(generic_world):
    fill(generic_world)
    generic_world.page_rows = 2
    cursor = next(generic_world.provider().list_pages()).cursor
    with pytest.raises(CursorExpired, match="starts again"):
        next(generic_world.provider().list_pages(cursor))


def test_a_token_that_the_service_refuses_starts_again(lying_settings, lying_server):
    listed = b"""<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>
        <Contents><Key>a</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>"e"</ETag><Size>1</Size>
        </Contents></ListBucketResult>"""
    no = refused(400, "InvalidArgument")
    lying_server.answer = lambda request: no if "continuation-token" in request.target else Reply(200, listed)
    provider = S3Provider(replace(lying_settings, dialect="generic"), SystemClock())
    cursor = next(provider.list_pages()).cursor
    with pytest.raises(CursorExpired, match="has forgotten"):
        next(provider.list_pages(cursor))


def test_only_the_last_pages_are_remembered():
    tokens = Tokens()
    for number in range(TOKENS_KEPT + 1):
        tokens.keep(f"c{number}", f"t{number}")
    assert tokens.behind("c0") is None
    assert tokens.behind(f"c{TOKENS_KEPT}") == f"t{TOKENS_KEPT}"
