"""One word for an idea, and nothing in the text that belongs to somebody's machine."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from mixsync_dagster_tests.architecture.source_tree import modules
from mixsync_dagster_tests.docs import readme

SAY_INSTEAD = {
    "connector": "provider",
    "connectors": "provider",
    "bookmark": "cursor",
    "bookmarks": "cursor",
    "watcher": "change feed",
    "mutex": "lock",
    "lease_lock": "lock",
    "throttle": "rate limited",
    "dedupe": "duplicates",
    "doc": "object",
    "docs": "objects",
    "ledger": "inventory",
}
"""Words of the field that stand for ideas which have another word here. Only such as have no second meaning."""

SUFFIXES = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".lua", ".cfg", ".typed", ""}

# Put together here, so that the search does not find itself.
HOSTS = (
    "py" + "pi.org", "python" + "hosted", "arti" + "factory", "index" + "-url", "find" + "-links", "extra" + "-index",
)  # fmt: skip
MACHINE = (
    "/wo" + "rk/",
    '"/ro' + "ot/",
    " /ro" + "ot/",
    "/opt/py" + "pi",
    "/tmp/" + "venv",
    "/tmp/" + "shots",
    "/home/" + "user",
)
MADE = ("iss" + "ues?", "help" + "ers?", "(?:this|last|next|previous|earlier|work) sess" + "ions?")
HISTORY = re.compile(rf"\b(?:{'|'.join(MADE)})\b", re.IGNORECASE)


def defined_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield the names that a module gives to things of its own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno


def words(name: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())


def test_names_use_the_glossary() -> None:
    seen = 0
    wrong = []
    for module in modules():
        for name, line in defined_names(module.tree):
            seen += 1
            wrong += [
                f"{module.name}:{line} {name}: say {SAY_INSTEAD[word]}" for word in words(name) if word in SAY_INSTEAD
            ]
    assert seen > 1_000
    assert wrong == []


def test_the_readme_uses_the_glossary() -> None:
    prose = re.sub(r"`[^`]*`|\(https?://[^)]*\)", "", readme.text()).lower()
    assert [word for word in SAY_INSTEAD if re.search(rf"\b{word}\b", prose)] == []


def test_words_in_capitals_and_underscores_are_taken_apart() -> None:
    assert words("S3ConnectorFactory") == ["s3", "connector", "factory"]
    assert words("_MAX_DOC_bytes") == ["max", "doc", "bytes"]


def files() -> list[Path]:
    """Return every text file that belongs to the project."""
    top = [path for path in readme.ROOT.iterdir() if path.is_file() and path.name != "LICENSE"]
    below = [
        path
        for folder in ("mixsync_dagster", "mixsync_dagster_tests", ".ci")
        for path in readme.files_below(readme.ROOT / folder)
    ]
    return [path for path in (*top, *below) if path.suffix in SUFFIXES]


def told(path: Path) -> list[str]:
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        signs = [one for one in (*HOSTS, *MACHINE) if one in line]
        signs += [match[0] for match in HISTORY.finditer(line)]
        found += [f"{path.relative_to(readme.ROOT)}:{number}: {sign}" for sign in signs]
    return found


def test_no_file_names_a_registry_a_machine_or_how_it_was_made() -> None:
    looked_at = files()
    assert len(looked_at) > 150
    assert [line for path in looked_at for line in told(path)] == []


def test_the_search_finds_what_it_looks_for(tmp_path: Path) -> None:
    planted = readme.ROOT / "mixsync_dagster" / "__init__.py"
    assert told(planted) == []
    for sign in (*HOSTS, *MACHINE, "iss" + "ue", "Help" + "er", "last sess" + "ion"):
        assert HISTORY.search(sign) or sign in (*HOSTS, *MACHINE)
    assert not HISTORY.search("session_token of a session")
