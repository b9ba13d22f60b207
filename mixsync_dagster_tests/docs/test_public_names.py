"""What users may import from the package itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import mixsync_dagster
from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster_tests.docs import readme


def test_the_public_names_are_pinned() -> None:
    assert mixsync_dagster.__all__ == ["__version__", "load_objects"]


def test_every_public_name_exists_and_is_documented() -> None:
    assert callable(mixsync_dagster.load_objects)
    assert mixsync_dagster.load_objects.__doc__


def test_objects_are_loaded_from_the_home_that_the_settings_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXSYNC_HOME", str(tmp_path / "no-home"))
    with pytest.raises(ConfigurationError, match="run `mixsync init`"):
        mixsync_dagster.load_objects("bkt_media")


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((readme.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert mixsync_dagster.__version__ == project["version"]


def test_names_that_the_readme_takes_from_the_package_are_public() -> None:
    named = set(re.findall(r"`mixsync_dagster\.(\w+)\(", readme.text()))
    assert named
    assert named <= set(mixsync_dagster.__all__)
