"""A simulated service whose every exchange is held against the vendor's OpenAPI, and a bucket at it."""

import pytest

from mixsync_dagster.testing.mixpeek_simulator import MixpeekSimulator
from mixsync_dagster_tests.buckets.mixpeek.harness import MixpeekHarness
from mixsync_dagster_tests.buckets.mixpeek.openapi import check


@pytest.fixture
def service():
    with MixpeekSimulator() as simulator:
        yield simulator
        for exchange in simulator.exchanges:
            check(exchange)


@pytest.fixture
def harness(service, tmp_path):
    harness = MixpeekHarness(service, tmp_path / "uploads")
    yield harness
    harness.close()
