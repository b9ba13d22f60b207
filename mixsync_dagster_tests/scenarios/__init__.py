import pytest

# What is asserted there is told in full, as in tests.
pytest.register_assert_rewrite("mixsync_dagster_tests.scenarios.homes", "mixsync_dagster_tests.scenarios.table")
