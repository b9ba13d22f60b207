"""The contracts of a provider, its feed and its attributes, bound to a simulated Graph and to one of odd habits."""

import pytest

from mixsync_dagster.testing.contracts.attribute_source import AttributeSourceContract
from mixsync_dagster.testing.contracts.change_feed import ChangeFeedContract
from mixsync_dagster.testing.contracts.provider import ProviderContract


class TestLibrary(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    pass


class TestUnruly(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    """Pages in the opposite order, addresses by redirect, whole bytes, no delta of folders, unasked-for parents."""

    @pytest.fixture
    def world(self, world):
        habits = world.graph.faults
        habits.reversed_pages = True
        habits.download_urls = habits.folder_delta = habits.changes_only = habits.ranges = False
        return world
