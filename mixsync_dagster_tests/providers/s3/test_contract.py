"""The contracts of a provider and its attributes, bound to the dialects."""

import pytest

from mixsync_dagster.testing.contracts.attribute_source import AttributeSourceContract
from mixsync_dagster.testing.contracts.provider import ProviderContract
from mixsync_dagster_tests.providers.s3.conftest import world_over


class TestAws(ProviderContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, aws_world):
        return aws_world


class TestGeneric(ProviderContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, generic_world):
        return generic_world


class TestTigris(ProviderContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, moto_bucket):
        return world_over(moto_bucket, "tigris")
