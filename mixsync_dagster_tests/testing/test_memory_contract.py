"""The contracts of a provider, its feed and its attributes, bound to storages in memory."""

import pytest

from mixsync_dagster.testing.contracts.attribute_source import AttributeSourceContract
from mixsync_dagster.testing.contracts.change_feed import ChangeFeedContract
from mixsync_dagster.testing.contracts.provider import ProviderContract
from mixsync_dagster_tests.testing.memory_worlds import MemoryWorld, PropertyProvider, memory_feed_world


class TestMemory(ProviderContract, AttributeSourceContract):
    @pytest.fixture
    def world(self):
        return MemoryWorld()


class TestMemoryFeed(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    @pytest.fixture
    def world(self):
        return memory_feed_world()


class TestMemoryProperties(ProviderContract, AttributeSourceContract):
    @pytest.fixture
    def world(self):
        # The values of metadata are put as properties here.
        return MemoryWorld(PropertyProvider)
