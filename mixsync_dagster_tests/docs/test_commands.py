"""Every command and option that the README names is there, and every command that is there is named."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from mixsync_dagster.cli import app
from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster_tests.docs import readme


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


def named() -> list[str]:
    """Return what the README says after `mixsync`, in code spans and in shell blocks."""
    shell = "\n".join(block.text for block in readme.blocks("bash"))
    lines = [*readme.spans(), *re.split(r"\n|&&", shell)]
    found = [re.fullmatch(r"(?:\S*/)?mixsync ([a-z]+.*)", line.strip()) for line in lines]
    return [one[1] for one in found if one]


def test_the_readme_and_the_command_line_name_the_same_commands() -> None:
    assert {line.split()[0] for line in named()} == set(commands())


def test_named_options_exist() -> None:
    wrong = []
    for line in named():
        command = commands()[line.split()[0]]
        options = {option for parameter in command.params for option in parameter.opts}
        wrong += [line for option in re.findall(r"--[a-z-]+", line) if option not in options]
    assert wrong == []


@pytest.mark.parametrize("name", sorted(commands()))
def test_help_of_a_command_works_and_ends_with_an_example(name: str) -> None:
    shown = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    assert "Example: " in shown.output


def test_the_jobs_and_sensors_named_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIXSYNC_HOME", str(tmp_path / "no-home"))
    definitions = build_definitions()
    rows = readme.table_after("## In Dagster")
    jobs = {name for row in rows if row[0] == "job" for name in re.findall(r"`(\w+)`", row[1])}
    sensors = {name for row in rows if row[0] == "sensor" for name in re.findall(r"`(\w+)`", row[1])}
    assert {job.name for job in definitions.jobs or [] if job.name != "__ASSET_JOB"} == jobs
    assert {sensor.name for sensor in definitions.sensors or []} == sensors
    assert set(definitions.resources or {}) >= {"bucket_objects"}


def test_there_are_two_set_up_commands_and_ci_runs_what_they_run() -> None:
    lines = [line for block in readme.blocks("bash") for line in block.text.splitlines() if "pip install" in line]
    assert lines == [
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt '.[demo]' && .venv/bin/mixsync demo",
        "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e '.[test]' && .venv/bin/pytest",
    ]
    script = (readme.ROOT / ".ci" / "run").read_text("utf-8")
    for line in lines:
        for step in line.split(" && "):
            run = step.replace("python3 -m venv .venv", "python3 -m venv").replace(".venv/bin/", "")
            assert run in script, f".ci/run leaves out {run!r}"


def test_the_entry_point_is_the_command_line() -> None:
    project = tomllib.loads((readme.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"mixsync": "mixsync_dagster.cli:main"}
