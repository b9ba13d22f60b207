"""A key that is revoked in mid-run: the run ends, no item pays for it, and the next one goes on with the new key."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mixsync_dagster.errors import AccessDenied
from mixsync_dagster.testing.fault_proxy import FaultProxy, ProxiedRequest, s3_error
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures
from mixsync_dagster_tests.engine.support import World
from mixsync_dagster_tests.providers.s3.faulted import Faulted
from mixsync_dagster_tests.support.s3_servers import ACCESS_KEY, TestBucket

FILES = 30
NEW_KEY = "AKIDTESTING000000002"


@pytest.fixture
def faulted(make_world: Callable[..., World], moto_bucket: TestBucket) -> Iterator[Faulted]:  # noqa: F811 - fixtures
    with FaultProxy(moto_bucket.server.endpoint_url, seed=1) as proxy:
        yield Faulted(make_world(), moto_bucket, proxy)


@pytest.mark.parametrize("code", ["InvalidAccessKeyId", "ExpiredToken", "SignatureDoesNotMatch"])
@pytest.mark.parametrize("requests", [0, 1, 10], ids=["at once", "after the listing", "among the files"])
def test_a_revoked_key_costs_no_item_anything_and_the_new_one_goes_on(
    faulted: Faulted, code: str, requests: int
) -> None:
    for number in range(FILES):
        faulted.put(f"{number:02}.txt", b"content %d" % number)
    seen: list[str] = []

    def revoked(request: ProxiedRequest) -> bool:
        seen.append(request.path)
        authorization = next(value for name, value in request.headers.items() if name.lower() == "authorization")
        return len(seen) > requests and ACCESS_KEY in authorization

    faulted.proxy.add(s3_error(403, code), when=revoked)
    with pytest.raises(AccessDenied, match="access key"):
        faulted.run(page_keys=1000)
    assert faulted.world.letters() == {}
    assert not faulted.world.sync.locked
    record = faulted.run(page_keys=1000, access_key_id=NEW_KEY)
    assert record.status == "completed"
    assert faulted.world.contents() == faulted.source
    assert len(faulted.world.batched()) == FILES
