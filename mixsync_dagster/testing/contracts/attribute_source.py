"""What every provider has to do that reads attributes: tags, metadata, properties, columns."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from mixsync_dagster.errors import ItemChanged, ItemVanished
from mixsync_dagster.testing.contracts.provider_world import ODD_NAMES, listed, need_attributes, one

if TYPE_CHECKING:
    from mixsync_dagster.testing.contracts.provider_world import ProviderWorld

_PUT_ON_FILES = frozenset({"tag", "metadata", "drive_property", "sharepoint_column"})
"""Kinds whose values a world can put; those of `column` are the rows themselves."""


class AttributeSourceContract:
    """The promises of the AttributeSource port; skipped where no kinds are declared."""

    def test_tags_are_read_as_they_were_put(self, world: ProviderWorld) -> None:
        provider = need_attributes(world, "tag")
        item = one(world, tags={"team": "a b+c", "Level": "1/2=x"})
        assert provider.read_attributes(item, frozenset({"tag"})) == {"tag": {"team": "a b+c", "Level": "1/2=x"}}

    def test_metadata_is_read_by_lower_case_names(self, world: ProviderWorld) -> None:
        provider = need_attributes(world, "metadata")
        item = one(world, metadata={"Camera-Model": "X100 %2F +1"})
        found = provider.read_attributes(item, frozenset({"metadata"}))
        assert found == {"metadata": {"camera-model": "X100 %2F +1"}}

    def test_properties_are_read_as_they_were_put(self, world: ProviderWorld) -> None:
        kind = min(world.provider().capabilities.attribute_kinds & {"drive_property", "sharepoint_column"}, default="")
        provider = need_attributes(world, kind)
        item = one(world, properties={"Team": "Legal \u00e9 +1/%2F"})
        assert provider.read_attributes(item, frozenset({kind}))[kind]["Team"] == "Legal \u00e9 +1/%2F"

    def test_nothing_asked_is_nothing_answered(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        assert provider.read_attributes(one(world), frozenset()) == {}

    def test_each_kind_can_be_asked_alone(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        item = one(world)
        for kind in provider.capabilities.attribute_kinds:
            assert list(provider.read_attributes(item, frozenset({kind}))) == [kind]

    def test_an_item_without_tags_or_metadata_has_none(self, world: ProviderWorld) -> None:
        kinds = world.provider().capabilities.attribute_kinds & {"tag", "metadata"}
        if not kinds:
            pytest.skip("this provider reads neither tags nor metadata")
        assert need_attributes(world).read_attributes(one(world), kinds) == {kind: {} for kind in kinds}

    def test_values_are_those_of_the_item_that_was_asked_about(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        _need_values(world)
        for name in ("a.txt", "b.txt"):
            world.put(name, b"x", tags={"of": name}, metadata={"of": name}, properties={"of": name})
        for item in listed(provider):
            for kind, values in provider.read_attributes(item, provider.capabilities.attribute_kinds).items():
                assert values["of"] == item.path, kind

    def test_names_and_values_are_plain(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        item = one(world, tags={"n": "1"}, metadata={"n": "1"}, properties={"n": "1"})
        for values in provider.read_attributes(item, provider.capabilities.attribute_kinds).values():
            assert _is_plain(dict(values))

    def test_asking_changes_nothing(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        kinds = provider.capabilities.attribute_kinds
        item = one(world, tags={"n": "1"}, metadata={"n": "1"}, properties={"n": "1"})
        first = provider.read_attributes(item, kinds)
        assert need_attributes(world).read_attributes(item, kinds) == first
        assert listed(world.provider()) == [item]

    def test_attributes_of_odd_names_are_read(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        for name in ODD_NAMES:
            world.put(f"odd/{name}", b"x")
        kinds = provider.capabilities.attribute_kinds
        assert len([provider.read_attributes(item, kinds) for item in listed(provider)]) == len(ODD_NAMES)

    def test_what_is_gone_has_no_attributes_but_those_that_were_listed(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        kinds = provider.capabilities.attribute_kinds
        item = one(world)
        before = provider.read_attributes(item, kinds)
        world.delete(item.path)
        try:
            # What the listing brought along needs nobody to be asked.
            assert provider.read_attributes(item, kinds) == before
        except ItemVanished:
            return

    def test_values_of_another_version_are_not_taken_for_those_of_this_one(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        # Tags have no version of their own, so that those of now are as good as those of then.
        kinds = provider.capabilities.attribute_kinds - {"tag"}
        if not kinds:
            pytest.skip("this provider reads tags only")
        item = one(world, content=b"before", metadata={"n": "1"}, properties={"n": "1"})
        before = provider.read_attributes(item, kinds)
        world.put(item.path, b"after!", metadata={"n": "2"}, properties={"n": "2"})
        try:
            assert provider.read_attributes(item, kinds) == before
        except ItemChanged:
            return

    def test_many_threads_ask_at_once(self, world: ProviderWorld) -> None:
        provider = need_attributes(world)
        kinds = provider.capabilities.attribute_kinds
        for number in range(4):
            world.put(f"{number}.txt", b"x", tags={"n": str(number)}, metadata={"n": str(number)})
        items = listed(provider) * 4
        alone = [provider.read_attributes(item, kinds) for item in items]
        with ThreadPoolExecutor(8) as threads:
            assert list(threads.map(lambda item: provider.read_attributes(item, kinds), items)) == alone


def _is_plain(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(name, str) and _is_plain(one) for name, one in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)


def _need_values(world: ProviderWorld) -> None:
    if not world.provider().capabilities.attribute_kinds & _PUT_ON_FILES:
        pytest.skip("this provider's attributes are the rows themselves")
