"""What the API understands of search queries and of field masks; what it does not, it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

Test = Callable[[Mapping[str, Any]], bool]
_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<sign>!=|=|\(|\))|(?P<word>\w+))")
_FIELDS = frozenset({"mimeType", "name", "trashed"})


class NotUnderstood(ValueError):
    """A query or mask of another form."""


def query(text: str) -> Test:
    """Return the test that a query makes. Raises NotUnderstood."""
    reader = _Reader(text)
    test = reader.alternatives()
    if reader.tokens:
        raise NotUnderstood(text)
    return test


class _Reader:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        position = 0
        text = text.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None:
                raise NotUnderstood(text)
            self.tokens.append(match[0].strip())
            position = match.end()

    def alternatives(self) -> Test:
        tests = [self._together()]
        while self._next_is("or"):
            self._take()
            tests.append(self._together())
        return lambda file: any(test(file) for test in tests)

    def _together(self) -> Test:
        tests = [self._term()]
        while self._next_is("and"):
            self._take()
            tests.append(self._term())
        return lambda file: all(test(file) for test in tests)

    def _term(self) -> Test:
        token = self._take()
        if token == "(":  # noqa: S105 - a bracket, no secret
            test = self.alternatives()
            if self._take() != ")":
                raise NotUnderstood(token)
            return test
        if token.startswith("'"):
            wanted = _unquoted(token)
            if (self._take(), self._take()) != ("in", "parents"):
                raise NotUnderstood(token)
            return lambda file: wanted in file.get("parents", ())
        return self._comparison(token)

    def _comparison(self, name: str) -> Test:
        sign, token = self._take(), self._take()
        if name not in _FIELDS or sign not in ("=", "!="):
            raise NotUnderstood(name)
        value: Any = _unquoted(token) if token.startswith("'") else {"true": True, "false": False}.get(token)
        if value is None:
            raise NotUnderstood(token)
        return lambda file: (file.get(name) == value) == (sign == "=")

    def _next_is(self, word: str) -> bool:
        return self.tokens[:1] == [word]

    def _take(self) -> str:
        if not self.tokens:
            raise NotUnderstood("end")
        return self.tokens.pop(0)


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", r"\1", token[1:-1])


Mask = dict[str, "Mask | None"]


def mask(text: str) -> Mask:
    """Return a field mask as nested names; None below a name means all of it. Raises NotUnderstood."""
    tokens = re.findall(r"[\w*]+|[(),/]", text)
    if "".join(tokens) != text:
        raise NotUnderstood(text)
    found = _names(tokens)
    if tokens:
        raise NotUnderstood(text)
    return found


def _names(tokens: list[str]) -> Mask:
    found: Mask = {}
    while True:
        if not tokens:
            raise NotUnderstood("end")
        name = tokens.pop(0)
        found[name] = None
        if tokens[:1] == ["("]:
            tokens.pop(0)
            found[name] = _names(tokens)
            if tokens[:1] != [")"]:
                raise NotUnderstood(name)
            tokens.pop(0)
        if tokens[:1] != [","]:
            return found
        tokens.pop(0)


def masked(value: Any, chosen: Mask | None) -> Any:
    """Return the chosen parts of an answer."""
    if chosen is None or "*" in chosen:
        return value
    if isinstance(value, list):
        return [masked(one, chosen) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: masked(value[name], below) for name, below in chosen.items() if name in value}
