"""The S3 servers of the session, and providers over their buckets."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

import pytest

from mixsync_dagster.providers.s3.factory import provider_of
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.testing.tigris_simulator import TigrisSimulator
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.support.s3_servers import (  # noqa: F401 - fixtures are found by being here
    ACCESS_KEY,
    SECRET_KEY,
    TestBucket,
    lying_server,
    moto_bucket,
    moto_server,
    seaweedfs_bucket,
    seaweedfs_server,
)


@dataclass
class S3World:
    """A bucket and the settings by which providers read it."""

    bucket: TestBucket
    settings: S3Settings
    page_rows: int = 5

    def provider(self, folder="", **changes):
        settings = replace(self.settings, prefix=folder, page_keys=self.page_rows)
        return provider_of(replace(settings, **changes), SystemClock())

    def put(self, path, content, *, tags=None, metadata=None, properties=None):
        options = {"Tagging": urlencode(tags)} if tags else {}
        if metadata:
            options["Metadata"] = dict(metadata)
        return self.bucket.put(path, content, **options)

    def delete(self, path):
        self.bucket.delete(path)


def world_over(bucket, dialect):
    return S3World(
        bucket,
        S3Settings(
            container=bucket.name,
            dialect=dialect,
            endpoint_url=bucket.server.endpoint_url,
            access_key_id=ACCESS_KEY,
            secret_access_key=SECRET_KEY,
            addressing_style="path",
        ),
    )


@pytest.fixture
def aws_world(moto_bucket):  # noqa: F811 - the fixture above
    return world_over(moto_bucket, "aws")


@pytest.fixture
def generic_world(seaweedfs_bucket):  # noqa: F811 - the fixture above
    return world_over(seaweedfs_bucket, "generic")


@pytest.fixture
def tigris_simulator(moto_server):  # noqa: F811 - the fixture above
    with TigrisSimulator(moto_server.endpoint_url) as simulator:
        yield simulator


@pytest.fixture
def tigris_world(moto_bucket, tigris_simulator):  # noqa: F811 - the fixture above
    world = world_over(moto_bucket, "tigris")
    world.settings = replace(world.settings, endpoint_url=tigris_simulator.url)
    return world


@pytest.fixture
def lying_settings(lying_server):  # noqa: F811 - the fixture above
    return S3Settings(
        container="bucket",
        dialect="minio",
        endpoint_url=lying_server.endpoint_url,
        endpoint_id="store",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
    )
