"""The provider contract, bound to the dialects."""

import pytest

from mixsync_dagster.testing.contracts.provider import ProviderContract
from mixsync_dagster_tests.providers.s3.conftest import world_over


class TestAws(ProviderContract):
    @pytest.fixture
    def world(self, aws_world):
        return aws_world


class TestGeneric(ProviderContract):
    @pytest.fixture
    def world(self, generic_world):
        return generic_world


class TestTigris(ProviderContract):
    @pytest.fixture
    def world(self, moto_bucket):
        return world_over(moto_bucket, "tigris")
