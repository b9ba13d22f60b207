"""Adding a provider touches at most three files that are there: shown by adding one to a copy of the package."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys

import pytest

from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.provider_kinds import KINDS
from mixsync_dagster_tests.architecture.source_tree import PACKAGE, modules
from mixsync_dagster_tests.architecture.toy_provider import CHANGES, NEW, SYNC

MOST_CHANGED = 3

NAMED_BESIDES = {
    "api.browsing": "folders for a picker are Google Drive's alone so far",
}
"""Modules that may ask which provider it is, with the reason."""


@pytest.fixture
def copy(tmp_path):
    """A copy of the package with one provider more."""
    package = tmp_path / "with_toys" / "mixsync_dagster"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for path, text in NEW.items():
        assert not (package / path).exists()
        (package / path).parent.mkdir(exist_ok=True)
        (package / path).write_text(text, "utf-8")
    for path, changes in CHANGES.items():
        text = (package / path).read_text("utf-8")
        for there, then in changes:
            assert text.count(there) == 1, f"{path}: the place to change is not there (any more): {there!r}"
            text = text.replace(there, then)
        (package / path).write_text(text, "utf-8")
    return package.parent


@pytest.mark.slow
def test_a_provider_more_is_two_changed_files_and_works_from_definition_to_objects(copy, tmp_path):
    assert len(CHANGES) + len(["pyproject.toml"]) <= MOST_CHANGED
    environment = {**os.environ, "PYTHONPATH": str(copy), "MIXSYNC_HOME": str(tmp_path / "home")}

    def mixsync(*arguments):
        command = [sys.executable, "-c", "from mixsync_dagster.cli import main; main()", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=copy)
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "toys.yaml").write_text(SYNC, "utf-8")
    mixsync("init")
    mixsync("apply", str(tmp_path / "toys.yaml"))
    assert json.loads(mixsync("run", "bears", "--json"))["created"] == 2
    listed = [json.loads(line) for line in mixsync("objects", "bkt_toys", "--json").splitlines()]
    assert sorted(one["source_path"] for one in listed) == ["bears/brown.txt", "bears/white.txt"]
    assert json.loads(mixsync("run", "bears", "--json"))["created"] == 0


def test_every_provider_has_its_row():
    assert set(KINDS) == set(ProviderType)


def test_nothing_else_asks_which_provider_it_is():
    """What differs between providers is a column of their rows: else every new one is another place to think of."""
    found = {
        module.name
        for module in modules()
        for node in ast.walk(module.tree)
        if module.layer not in {"providers", "testing"}
        and isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "ProviderType"
        and node.attr in ProviderType.__members__
    }
    assert found - set(NAMED_BESIDES) == {"model.provider_kinds"}
    assert set(NAMED_BESIDES) <= found, "a reason for nothing"
