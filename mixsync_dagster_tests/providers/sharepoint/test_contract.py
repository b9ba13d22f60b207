"""The provider contract, bound to a simulated Graph: as an application, for a user, and with the service's habits."""

import pytest

from mixsync_dagster.testing.contracts.provider import ProviderContract


class TestLibrary(ProviderContract):
    pass


class TestUnruly(ProviderContract):
    """Pages in the opposite order, addresses by redirect, whole bytes, no delta of folders, unasked-for parents."""

    @pytest.fixture
    def world(self, world):
        habits = world.graph.faults
        habits.reversed_pages = True
        habits.download_urls = habits.folder_delta = habits.changes_only = habits.ranges = False
        return world
