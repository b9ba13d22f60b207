"""The README as data: its code blocks, code spans, links and generated parts."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_PART = re.compile(r"<!-- generated: (\w+) -->\n(.*?)<!-- end: \1 -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """One fenced block: its language, empty when none is named, and its text."""

    language: str
    text: str


def files_below(folder: Path) -> Iterator[Path]:
    """Yield every file of the project below a folder; work folders and caches are not entered."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if one != "__pycache__" and not one.startswith("."))
        yield from (Path(place, name) for name in sorted(names))


def text() -> str:
    """Return the README."""
    return README.read_text("utf-8")


def blocks(language: str) -> list[Block]:
    """Return the fenced blocks of a language, in their order."""
    return [Block(*found.groups()) for found in _BLOCK.finditer(text()) if found[1] == language]


def spans() -> list[str]:
    """Return every code span outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", _BLOCK.sub("", text()))


def links() -> list[str]:
    """Return the target of every link and picture."""
    return re.findall(r"\]\(([^)\s]+)\)", _BLOCK.sub("", text()))


def parts() -> dict[str, str]:
    """Return the generated parts by name."""
    return {found[1]: found[2] for found in _PART.finditer(text())}


def with_parts(written: dict[str, str]) -> str:
    """Return the README with its generated parts replaced. Raises KeyError for a part that nothing writes."""
    return _PART.sub(
        lambda found: f"<!-- generated: {found[1]} -->\n{written[found[1]]}<!-- end: {found[1]} -->", text()
    )


def table_after(heading: str) -> list[list[str]]:
    """Return the rows, without the header, of the first table below a heading."""
    after = text().split(f"\n{heading}\n", 1)[1]
    lines = re.search(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", after, re.MULTILINE)
    assert lines is not None, f"no table below {heading!r}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[1].splitlines()]
