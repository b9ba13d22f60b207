"""Every file, folder, test and name that the README points to exists."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from mixsync_dagster.engine.context import RunLimits
from mixsync_dagster.engine.finishing import SUSPEND_AFTER_FAILURES
from mixsync_dagster.model.progress import MAX_RETRIES
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster_tests.docs import readme

LONGEST_PICTURE_BYTES = 300_000


def paths() -> list[str]:
    """Return the code spans that are paths below the top level."""
    return [
        span for span in readme.spans() if re.fullmatch(r"(?:mixsync_dagster|mixsync_dagster_tests|\.ci)/\S+", span)
    ]


def test_paths_exist() -> None:
    found = paths()
    assert len(found) > 20
    assert [path for path in found if not (readme.ROOT / path).exists()] == []


def test_links_and_pictures_lead_somewhere() -> None:
    anchors = {re.sub(r"[^a-z0-9_ -]", "", line.lower()).replace(" ", "-") for line in headings()}
    wrong = []
    for link in readme.links():
        if link.startswith("#"):
            wrong += [link] if link[1:] not in anchors else []
        elif not link.startswith("https://") and not (readme.ROOT / link).exists():
            wrong.append(link)
    assert wrong == []


def headings() -> list[str]:
    return re.findall(r"^#+ (.*)$", readme.text(), re.MULTILINE)


def test_pictures_are_small() -> None:
    large = [
        path.name
        for path in (readme.ROOT / "mixsync_dagster" / "examples").rglob("*.png")
        if path.stat().st_size > LONGEST_PICTURE_BYTES
    ]
    assert large == []


def test_the_layer_table_names_exactly_the_folders_and_modules_of_the_package() -> None:
    package = readme.ROOT / "mixsync_dagster"
    there = {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}
    there |= {path.name for path in package.glob("*.py") if path.name != "__init__.py"}
    told = {name for row in readme.table_after("## Where things are") for name in re.findall(r"`([\w./]+)`", row[1])}
    assert told == there


def test_names_in_the_answers_are_in_the_files_beside_them() -> None:
    checked = 0
    for question, answer in readme.table_after("### Where do I ..."):
        for name, path in re.findall(r"`(\w+)` in `(mixsync_dagster\S*?\.py)`", answer):
            assert re.search(rf"\b{name}\b", (readme.ROOT / path).read_text("utf-8")), f"{question} {name} in {path}"
            checked += 1
    assert checked > 4


def test_numbers_in_the_answers_are_those_of_the_code() -> None:
    limits = RunLimits()
    assert (limits.removal_guard_percent, limits.removal_guard_floor, limits.commit_seconds) == (20.0, 10, 2.0)
    assert "a guard stops at 20 % of the inventory, above 10 objects" in readme.text()
    assert "Up to one commit's work (two seconds," in readme.text()
    assert (MAX_RETRIES, SUSPEND_AFTER_FAILURES) == (3, 5)
    assert "one attempt and three retries" in readme.text()
    assert "Five failed runs in a row pause a sync" in readme.text()
    assert inspect.signature(Retrier).parameters["rate_limit_attempts"].default == 12
    assert "After twelve refusals in a row" in readme.text()


def test_the_top_level_is_as_agreed() -> None:
    expected = {
        "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "constraints.txt", ".gitignore", ".ci",
        "workspace.yaml", "dagster.yaml", "mixsync_dagster", "mixsync_dagster_tests",
    }  # fmt: skip
    ignored = {line.strip().strip("/") for line in (readme.ROOT / ".gitignore").read_text("utf-8").splitlines()}
    there = {path.name for path in readme.ROOT.iterdir()} - {".git"}
    assert expected <= there
    assert {name for name in there - expected if not any(Path(name).match(one) for one in ignored if one)} == set()
