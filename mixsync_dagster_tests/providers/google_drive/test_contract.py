"""The provider contract, bound to My Drive and to a shared drive."""

import pytest

from mixsync_dagster.testing.contracts.provider import ProviderContract


class TestMyDrive(ProviderContract):
    @pytest.fixture
    def world(self, world):
        return world


class TestMyDriveListedWhole(ProviderContract):
    @pytest.fixture
    def world(self, whole_world):
        return whole_world


class TestSharedDrive(ProviderContract):
    @pytest.fixture
    def world(self, shared_world):
        return shared_world
