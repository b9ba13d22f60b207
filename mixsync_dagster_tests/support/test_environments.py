"""Environments that cannot be made: the test is skipped where there is no index, and fails for anything else."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mixsync_dagster_tests.support.environments import _install


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def test_a_test_is_skipped_where_no_index_gives_the_package() -> None:
    with pytest.raises(pytest.skip.Exception, match="no package index gives no-package-of-this-name==1: ERROR"):
        _install(Path(sys.executable), ["no-package-of-this-name==1", "--dry-run"])


def test_a_requirement_that_is_none_is_no_reason_to_skip() -> None:
    with pytest.raises(AssertionError, match="Invalid requirement"):
        _install(Path(sys.executable), ["no requirement", "--dry-run"])
