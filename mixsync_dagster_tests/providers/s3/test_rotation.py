"""A key that is revoked in mid-run: the run ends, no item pays for it, and the next one goes on with the new key."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mixsync_dagster.engine.run import run_sync
from mixsync_dagster.errors import AccessDenied
from mixsync_dagster.model.progress import Trigger
from mixsync_dagster.settings import Settings
from mixsync_dagster.testing.fault_proxy import FaultProxy, ProxiedRequest, s3_error
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.control.support import applied
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


DEFINITIONS = """
connections:
  storage:
    provider_type: s3
    provider_config:
      endpoint_url: {endpoint}
      dialect: minio
      credentials: {{type: access_key, access_key_id: {key}, secret_access_key: loopback-secret-of-no-value}}
buckets:
  bkt_media: {{}}
syncs:
  videos: {{bucket_id: bkt_media, connection_id: storage, source_path: {path}, sync_concurrency: 1}}
"""


@pytest.mark.parametrize("requests", [1, 2, 10], ids=["at the listing", "at the first file", "among the files"])
def test_a_key_that_is_replaced_before_it_is_revoked_is_no_break_in_the_run(
    moto_bucket: TestBucket, tmp_path: Path, requests: int
) -> None:
    for number in range(FILES):
        moto_bucket.put(f"{number:02}.txt", b"content %d" % number)
    settings = Settings.load({"MIXSYNC_HOME": str(tmp_path / "home")})
    Services.init(settings)
    seen: list[str] = []
    with Services.open(settings) as services, FaultProxy(moto_bucket.server.endpoint_url, seed=1) as proxy:

        def define(key: str) -> None:
            applied(services, DEFINITIONS.format(endpoint=proxy.url, key=key, path=moto_bucket.name))

        def revoked(request: ProxiedRequest) -> bool:
            authorization = next(value for name, value in request.headers.items() if name.lower() == "authorization")
            old = ACCESS_KEY in authorization
            seen.append("old" if old else "new")
            if len(seen) == requests:
                define(NEW_KEY)
            return old and len(seen) >= requests

        define(ACCESS_KEY)
        proxy.add(s3_error(403, "InvalidAccessKeyId"), when=revoked)
        sync = services.store.get_sync("videos")
        tools = services.tools_for(sync)
        try:
            record = run_sync(
                tools, sync.sync_config_id, worker_id="w", sync_run_id="r", trigger=Trigger.MANUAL, full_sync=False
            )
        finally:
            tools.close()
        assert (record.status, record.counters.created, record.counters.failed) == ("completed", FILES, 0)
        assert seen[:requests] == ["old"] * requests
        # Requests that were on their way when the key was revoked are the only others.
        assert seen[requests:].count("old") <= 4
        assert services.store.list_dead_letters(sync.sync_config_id) == []
