"""A running product for all tests here: its API, and a Dagster daemon that runs what the API is asked for."""

import pytest

from mixsync_dagster_tests.support.live_service import running_live_service
from mixsync_dagster_tests.support.s3_servers import moto_bucket, moto_server

__all__ = ["moto_bucket", "moto_server"]


@pytest.fixture(scope="package")
def service(tmp_path_factory):
    with running_live_service(tmp_path_factory.mktemp("service")) as running:
        yield running
