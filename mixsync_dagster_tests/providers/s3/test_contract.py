"""The contracts of a provider and its attributes, bound to the dialects."""

import pytest

from mixsync_dagster.testing.contracts.attribute_source import AttributeSourceContract
from mixsync_dagster.testing.contracts.change_feed import ChangeFeedContract
from mixsync_dagster.testing.contracts.provider import ProviderContract


class TestAws(ProviderContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, aws_world):
        return aws_world


class TestGeneric(ProviderContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, generic_world):
        return generic_world


class TestTigris(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, tigris_world):
        return tigris_world
