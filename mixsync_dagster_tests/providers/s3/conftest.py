"""The S3 servers of the session, and providers over their buckets."""

from dataclasses import dataclass, replace
from urllib.parse import urlencode

import pytest

from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.providers.s3.settings import S3Settings
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
        return S3Provider(replace(settings, **changes), SystemClock())

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
def lying_settings(lying_server):  # noqa: F811 - the fixture above
    return S3Settings(
        container="bucket",
        dialect="minio",
        endpoint_url=lying_server.endpoint_url,
        endpoint_id="store",
        access_key_id=ACCESS_KEY,
        secret_access_key=SECRET_KEY,
    )
