"""Every test that the table of goals names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_NAMED = re.compile(r"`((?:[\w/]+/)?\w+\.py)(?:::(\w+))?`")
GOALS = (*range(1, 4), *range(6, 18), *range(19, 23))
"""Numbers of the goals for S3 and the embedded bucket, as the design has them."""


def rows() -> list[list[str]]:
    text = HERE.joinpath("README.md").read_text("utf-8").partition("## Goals\n")[2].partition("\n## ")[0]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| R")
    ]


def test_every_goal_has_a_row() -> None:
    assert {int(number) for row in rows() for number in re.findall(r"^R(\d+)", row[0])} == set(GOALS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row[0])
def test_every_named_test_is_there(row: list[str]) -> None:
    named = _NAMED.findall(row[2])
    assert named
    for file, name in named:
        path = HERE / file if "/" not in file else HERE.parent / file
        assert path.is_file(), file
        if name:
            defined = ast.walk(ast.parse(path.read_text("utf-8")))
            assert name in {one.name for one in defined if isinstance(one, ast.FunctionDef | ast.ClassDef)}


def test_every_goal_says_what_was_measured() -> None:
    assert [row[0] for row in rows() if len(row) != 4 or not all(row)] == []
