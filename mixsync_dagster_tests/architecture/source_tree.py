"""The package's modules as parsed source, for tests that look at its shape."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "mixsync_dagster"


@dataclass(frozen=True)
class Module:
    """One source file: its dotted name below the package, its path and its syntax tree."""

    name: str
    path: Path
    tree: ast.Module

    @property
    def layer(self) -> str:
        """The first part of the name: the folder, or the module itself at the top level."""
        return self.name.split(".", 1)[0]

    def imports(self) -> Iterator[tuple[str, int]]:
        """Yield every imported dotted name with its line, imports inside functions included."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name, node.lineno
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: imports are absolute in this package"
                yield node.module or "", node.lineno
                for alias in node.names:
                    yield f"{node.module}.{alias.name}", node.lineno


@cache
def modules() -> tuple[Module, ...]:
    """Return every module of the package."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found.append(Module(name, path, ast.parse(path.read_text("utf-8"))))
    return tuple(found)


def of_layer(layer: str) -> tuple[Module, ...]:
    """Return the layer's modules; an empty answer would make a fence guard nothing."""
    found = tuple(module for module in modules() if module.layer == layer)
    assert found, f"no modules found in {layer}: this fence would guard nothing"
    return found
