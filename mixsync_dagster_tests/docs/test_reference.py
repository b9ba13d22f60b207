"""The generated parts of the README are those that the code gives today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mixsync_dagster import errors
from mixsync_dagster.commands.failures import ExitStatus
from mixsync_dagster.model.progress import Outcome
from mixsync_dagster.model.provider_configs import ProviderType, S3Dialect
from mixsync_dagster.model.status import SYNC_MOVES
from mixsync_dagster.settings import SETTING_ROWS
from mixsync_dagster.wiring import PROVIDERS
from mixsync_dagster_tests.docs import readme, reference


@pytest.mark.parametrize("part", sorted(reference.written()))
def test_a_generated_part_is_up_to_date(part: str) -> None:
    assert readme.parts()[part] == reference.written()[part], (
        "run `python -m mixsync_dagster_tests.docs.reference --write`"
    )


def test_the_script_tells_a_stale_readme_and_writes_a_fresh_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = tmp_path / "README.md"
    stale.write_text(readme.text().replace("| `polling_interval_seconds` | `300` |", "| `polling` | `1` |"), "utf-8")
    fresh = readme.text()
    monkeypatch.setattr(readme, "README", stale)
    assert reference.main([]) == 1
    assert reference.main(["--write"]) == 0
    assert stale.read_text("utf-8") == fresh
    assert reference.main([]) == 0


def test_every_error_has_a_row_and_every_row_an_error() -> None:
    classes = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.MixsyncError) and value is not errors.MixsyncError
    }
    assert {row[0].strip("`") for row in readme.table_after("### Errors")} == classes


def test_every_error_says_what_follows() -> None:
    assert [row[0] for row in readme.table_after("### Errors") if not row[1] or not row[2]] == []


def test_every_setting_is_in_the_readme_and_back() -> None:
    named = set(re.findall(r"MIXSYNC_[A-Z_]+", readme.text()))
    assert named == {row.name for row in SETTING_ROWS}


def test_the_provider_table_tells_which_are_served() -> None:
    told = {row[0].strip("`"): row[2] == "yes" for row in readme.table_after("## Providers")}
    assert told == {one.value: one in PROVIDERS for one in ProviderType}


def test_every_provider_has_its_configuration() -> None:
    assert set(reference.CONFIGS) == {one.value for one in ProviderType}


def test_every_dialect_has_a_row() -> None:
    assert re.findall(r"^\| \[`(\w+)`\]", readme.parts()["dialects"], re.MULTILINE) == [one.value for one in S3Dialect]


def test_every_status_of_a_sync_has_a_row() -> None:
    assert {row[0].strip("`") for row in readme.table_after("### Statuses")} == set(SYNC_MOVES)


def test_every_outcome_of_a_run_has_a_row() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .* \| (?:\d.*) \|$", readme.text(), re.MULTILINE)
    assert rows == [one.value for one in Outcome]


def test_every_exit_status_is_told() -> None:
    sentence = readme.text().split("Exit status: ", 1)[1].split(".", 1)[0]
    assert [int(number) for number in re.findall(r"\d+", sentence)] == [one.value for one in ExitStatus]
