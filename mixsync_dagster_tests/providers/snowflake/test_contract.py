"""The contracts of a provider, its feed and its attributes, bound to rows with a key, a BINARY column, a watermark."""

import pytest

from mixsync_dagster.testing.contracts.attribute_source import AttributeSourceContract
from mixsync_dagster.testing.contracts.change_feed import ChangeFeedContract
from mixsync_dagster.testing.contracts.provider import ProviderContract


class TestRows(ProviderContract, ChangeFeedContract, AttributeSourceContract):
    @pytest.fixture
    def world(self, row_world):
        return row_world

    def test_the_root_is_the_folder_with_a_slash(self, world):
        world.put("media/a.txt", b"x")
        assert world.provider("media").root == "", "a source path names a table, and rows have no folders"
