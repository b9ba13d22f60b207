"""Reading definitions from YAML files: which file and which line says what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode

from mixsync_dagster.errors import FieldProblem, InvalidInput

Loc = tuple[str | int, ...]

KINDS = ("connections", "buckets", "syncs")
"""The keys of a file, in the order in which they depend on each other."""

MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_VALUES = 500_000
"""Values of one file after its aliases are expanded; a few aliases of aliases would fill the memory otherwise."""

_SUFFIXES = (".yaml", ".yml")
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


@dataclass(frozen=True, slots=True)
class Definition:
    """One connection, bucket or sync as a file gives it."""

    kind: str
    name: str
    data: Any
    file: str
    lines: Mapping[Loc, int]
    """Line of every key and element, by the keys that lead to it from the top of the file."""

    @property
    def where(self) -> str:
        """The dotted path of the definition."""
        return f"{self.kind}.{self.name}"

    def line_of(self, loc: Sequence[str | int] = ()) -> int:
        """Return the line of a value inside the definition, or of the nearest thing around it."""
        path: Loc = (self.kind, self.name, *loc)
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)

    def located(self, problem: FieldProblem, loc: Sequence[str | int] = ()) -> FieldProblem:
        """Return the problem with file and line in front of its sentence."""
        return replace(problem, message=f"{self.file}:{self.line_of(loc)}: {problem.message}")

    def problem(self, loc: Sequence[str | int], value: str, accepted: str, said: str) -> FieldProblem:
        """Return a problem with one field, told as every other one; `said` follows the field's path."""
        path = ".".join([self.where, *(str(step) for step in loc)])
        return self.located(FieldProblem(path, value, accepted, f"{path}{said}"), loc)


@dataclass(slots=True)
class DefinitionSet:
    """What a set of files defines, by kind and name."""

    connections: dict[str, Definition] = field(default_factory=dict)
    buckets: dict[str, Definition] = field(default_factory=dict)
    syncs: dict[str, Definition] = field(default_factory=dict)

    def of_kind(self, kind: str) -> dict[str, Definition]:
        """Return the definitions under one of KINDS."""
        return {"connections": self.connections, "buckets": self.buckets, "syncs": self.syncs}[kind]

    def __iter__(self) -> Iterator[Definition]:
        for kind in KINDS:
            yield from self.of_kind(kind).values()


def load_definitions(paths: Sequence[Path]) -> DefinitionSet:
    """Return what the files, and the YAML files under the folders, define.

    Raises InvalidInput with one sentence a problem: a path that does not exist, a folder without YAML files, text that
    is no YAML, a key that is unknown or given twice, a name defined in two places.
    """
    found = DefinitionSet()
    problems: list[FieldProblem] = []
    for path in _files(paths):
        try:
            for data, lines in _read(path):
                _add(found, str(path), data, lines, problems)
        except InvalidInput as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidInput(problems)
    return found


def load_text(text: str, *, file: str = "<text>") -> DefinitionSet:
    """Return what one YAML text defines; raises as `load_definitions`."""
    found = DefinitionSet()
    problems: list[FieldProblem] = []
    for data, lines in _documents(text, file):
        _add(found, file, data, lines, problems)
    if problems:
        raise InvalidInput(problems)
    return found


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(
                p for p in path.rglob("*") if p.suffix in _SUFFIXES and p.is_file() and not _hidden(p, path)
            )
            if not inside:
                raise InvalidInput.of(str(path), "a folder without YAML files", "a folder with .yaml files")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise InvalidInput.of("PATH", path, "a YAML file or a folder that exists")
    return list(dict.fromkeys(files))


def _hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _read(path: Path) -> list[tuple[Any, dict[Loc, int]]]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _failed(str(path), 1, f"the file is larger than {MAX_FILE_BYTES // 2**20} MB")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _failed(str(path), 1, "the file is not UTF-8 text") from None
    except OSError as error:
        raise _failed(str(path), 1, f"the file cannot be read ({error.strerror})") from None
    return _documents(text, str(path))


def _documents(text: str, file: str) -> list[tuple[Any, dict[Loc, int]]]:
    """Return the documents of a text as plain values, each with its lines."""
    documents = []
    loader = None
    try:
        loader = yaml.SafeLoader(text)
        while loader.check_node():
            reader = _Reader(loader, file)
            documents.append((reader.value(loader.get_node(), ()), reader.lines))
    except yaml.MarkedYAMLError as error:
        raise _syntax(error, file) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise _failed(file, line, f"the character U+{error.character:04X} is not allowed in YAML") from None
    except RecursionError:
        raise _failed(file, 1, "the YAML is nested too deeply") from None
    finally:
        if loader is not None:
            loader.dispose()
    return documents


def _syntax(error: yaml.MarkedYAMLError, file: str) -> InvalidInput:
    mark = error.problem_mark or error.context_mark
    place = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
    reason = " ".join(str(error.problem or "it is no YAML").split())
    return InvalidInput([FieldProblem(file, "", "YAML", f"{place}: the YAML cannot be read: {reason}.")])


def _failed(file: str, line: int, reason: str) -> InvalidInput:
    return InvalidInput([FieldProblem(file, "", "a YAML file", f"{file}:{line}: {reason}.")])


class _Reader:
    """Turns one document's nodes into plain values, remembering lines and refusing duplicate keys."""

    def __init__(self, loader: yaml.SafeLoader, file: str) -> None:
        self._loader = loader
        self._file = file
        self._values = 0
        self._open: set[int] = set()
        self.lines: dict[Loc, int] = {}

    def value(self, node: Node | None, loc: Loc) -> Any:
        """Return the node's value."""
        if node is None:
            return None
        line = node.start_mark.line + 1
        self.lines.setdefault(loc, line)
        self._values += 1
        if self._values > MAX_VALUES:
            raise _failed(self._file, line, f"the file expands to more than {MAX_VALUES} values")
        if isinstance(node, ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise _failed(self._file, line, "an alias refers to what it is part of")
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, loc)
            return [self.value(one, (*loc, index)) for index, one in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _scalar(self, node: ScalarNode) -> Any:
        # A date stays the text that it is; the model knows which fields are times.
        if node.tag == _TIMESTAMP:
            return node.value
        return self._loader.construct_object(node)

    def _mapping(self, node: MappingNode, loc: Loc) -> dict[str, Any]:
        self._refuse_duplicates(node, loc)
        self._loader.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            self.lines[(*loc, key)] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, (*loc, key))
        return result

    def _refuse_duplicates(self, node: MappingNode, loc: Loc) -> None:
        seen: dict[str, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == _MERGE:
                continue
            key, line = self._key(key_node), key_node.start_mark.line + 1
            if key in seen:
                path = ".".join(str(step) for step in (*loc, key))
                said = f"{path} is given twice; its first place is line {seen[key]}"
                raise _failed(self._file, line, said)
            seen[key] = line

    def _key(self, node: Node) -> str:
        if not isinstance(node, ScalarNode):
            raise _failed(self._file, node.start_mark.line + 1, "a key must be text")
        return str(node.value)


def _add(found: DefinitionSet, file: str, data: Any, lines: Mapping[Loc, int], problems: list[FieldProblem]) -> None:
    if data is None:
        return
    keys = ", ".join(KINDS)
    if not isinstance(data, dict):
        said = f"{file}:1: the file is not accepted; give a mapping with the keys {keys}."
        problems.append(FieldProblem(file, "", keys, said))
        return
    for kind, entries in data.items():
        line = lines.get((kind,), 1)
        if kind not in KINDS:
            said = f"{file}:{line}: {kind} is not a known key; the accepted keys are {keys}."
            problems.append(FieldProblem(kind, "", keys, said))
        elif entries is None:
            continue
        elif not isinstance(entries, dict):
            said = f"{file}:{line}: {kind} is not accepted; give a mapping of names to definitions."
            problems.append(FieldProblem(kind, "", "a mapping of names to definitions", said))
        else:
            for name, entry in entries.items():
                definition = Definition(kind, name, {} if entry is None else entry, file, lines)
                _place(found, definition, problems)


def _place(found: DefinitionSet, definition: Definition, problems: list[FieldProblem]) -> None:
    others = found.of_kind(definition.kind)
    other = others.setdefault(definition.name, definition)
    if other is not definition:
        said = f" is defined twice; its first place is {other.file}:{other.line_of()}."
        problems.append(definition.problem((), "", "one definition", said))
