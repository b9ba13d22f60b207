"""What holds for every test."""

import pytest

from mixsync_dagster.transport.tokens import SHELF


@pytest.fixture(autouse=True)
def no_tokens_of_other_tests():
    """Let no test use what another one has fetched: servers of different tests may have the same port."""
    SHELF.clear()
