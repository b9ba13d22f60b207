"""The provider contract, bound to rows of a table with a key, a BINARY column and a watermark."""

import pytest

from mixsync_dagster.testing.contracts.provider import ProviderContract


class TestRows(ProviderContract):
    @pytest.fixture
    def world(self, row_world):
        return row_world

    def test_the_root_is_the_folder_with_a_slash(self, world):
        world.put("media/a.txt", b"x")
        assert world.provider("media").root == "", "a source path names a table, and rows have no folders"
