"""The contracts of a provider, its feed and its attributes, bound to My Drive and to a shared drive."""

import pytest

from mixsync_dagster.testing.contracts.attribute_source import AttributeSourceContract
from mixsync_dagster.testing.contracts.change_feed import ChangeFeedContract
from mixsync_dagster.testing.contracts.provider import ProviderContract


class TestMyDrive(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, world):
        return world


class TestMyDriveListedWhole(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, whole_world):
        return whole_world


class TestSharedDrive(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, shared_world):
        return shared_world
