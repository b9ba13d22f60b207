"""What a provider declares is what it can do, no more and no less."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mixsync_dagster.errors import CursorExpired
from mixsync_dagster.ports.provider import AttributeSource, ChangeFeed, Provider
from mixsync_dagster.testing.contracts.attribute_source import AttributeSourceContract
from mixsync_dagster.testing.contracts.change_feed import ChangeFeedContract
from mixsync_dagster.testing.contracts.provider_world import ATTRIBUTE_KINDS, applied, need_attributes, need_feed, one

if TYPE_CHECKING:
    from mixsync_dagster.testing.contracts.provider_world import ProviderWorld


class PowersContract:
    """Capabilities are honest: whoever declares what it cannot do, or does what it does not declare, fails here."""

    def test_it_has_every_method_of_a_provider(self, world: ProviderWorld) -> None:
        assert isinstance(world.provider(), Provider)

    def test_what_is_declared_stays_the_same(self, world: ProviderWorld) -> None:
        provider = world.provider()
        assert provider.capabilities == provider.capabilities == world.provider().capabilities

    def test_a_change_feed_is_declared_if_and_only_if_there_is_one(self, world: ProviderWorld) -> None:
        provider = world.provider()
        assert provider.capabilities.change_feed == isinstance(provider, ChangeFeed)

    def test_attributes_are_declared_if_and_only_if_they_can_be_read(self, world: ProviderWorld) -> None:
        provider = world.provider()
        assert bool(provider.capabilities.attribute_kinds) == isinstance(provider, AttributeSource)

    def test_only_kinds_that_a_mapping_can_name_are_declared(self, world: ProviderWorld) -> None:
        assert world.provider().capabilities.attribute_kinds <= ATTRIBUTE_KINDS

    def test_every_declared_kind_is_served_and_no_other(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        found = provider.read_attributes(one(world), ATTRIBUTE_KINDS)
        assert found.keys() == provider.capabilities.attribute_kinds

    def test_removals_are_declared_by_a_change_feed_only(self, world: ProviderWorld) -> None:
        can = world.provider().capabilities
        assert can.change_feed or not can.reports_removals

    def test_removals_are_told_if_and_only_if_they_are_declared(self, world: ProviderWorld) -> None:
        provider = need_feed(world)
        item = one(world)
        head = provider.head()
        world.delete(item.path)
        try:
            told = applied(list(need_feed(world).changes(head))).gone
        except CursorExpired:
            # A feed may have the whole listing tell what is gone.
            told = {item.source_object_id}
        assert told == ({item.source_object_id} if provider.capabilities.reports_removals else set())

    def test_the_contracts_of_all_declared_powers_are_checked(self, world: ProviderWorld) -> None:
        can = world.provider().capabilities
        missing = [
            suite.__name__
            for power, suite in ((can.change_feed, ChangeFeedContract), (can.attribute_kinds, AttributeSourceContract))
            if power and not isinstance(self, suite)
        ]
        if missing:
            pytest.fail(f"{type(self).__name__} has to inherit {' and '.join(missing)} too: the power is declared")
