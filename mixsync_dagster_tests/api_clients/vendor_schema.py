"""The vendor's OpenAPI document, and bodies that it accepts, made from it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

FILE = Path(__file__).resolve().parents[3] / "shared" / "spec" / "openapi-0.81-subset.json"
"""Lies beside the checkout where this project is developed; it is the vendor's, and no part of the project."""
_DEEPEST = 7


@cache
def document() -> Mapping[str, Any]:
    """Return the document."""
    return dict(json.loads(FILE.read_text("utf-8")))


def named(name: str) -> Mapping[str, Any]:
    """Return a schema by its name."""
    found: Mapping[str, Any] = document()["components"]["schemas"][name]
    return found


def bodies(name: str) -> Iterator[dict[str, Any]]:
    """Yield bodies of the schema: the least one, and one for each value of each key; whole examples are not among them.

    Examples of whole bodies in the document are illustrations: they leave out what the schema requires.
    """
    yield from _objects(named(name), 0)


def _resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = named(schema["$ref"].rpartition("/")[2])
    return schema


def _values(schema: Mapping[str, Any], depth: int) -> Iterator[Any]:
    schema = _resolved(schema)
    if "const" in schema:
        yield schema["const"]
    elif "enum" in schema:
        yield from schema["enum"]
    elif choices := schema.get("anyOf", schema.get("oneOf")):
        given = _examples(schema)
        yield from given
        for choice in choices:
            if not given or _resolved(choice).get("type") != "string" or "enum" in _resolved(choice):
                yield from _values(choice, depth)
    elif given := _examples(schema):
        yield from given
    else:
        yield from _plain_values(schema, depth)


def _examples(schema: Mapping[str, Any]) -> list[Any]:
    """Return examples that are text; those of mappings are illustrations, and numbers have bounds."""
    return [one for one in schema.get("examples", ()) if isinstance(one, str)]


def _plain_values(schema: Mapping[str, Any], depth: int) -> Iterator[Any]:
    kind = schema.get("type")
    if kind == "null":
        yield None
    elif kind == "boolean":
        yield from (True, False)
    elif kind in ("integer", "number"):
        yield int(schema.get("minimum", 0))
        yield int(schema.get("maximum", 1000))
    elif kind == "string":
        yield (
            "2024-01-01T00:00:00Z" if schema.get("format") == "date-time" else "x" * max(1, schema.get("minLength", 1))
        )
        if "maxLength" in schema:
            yield "y" * schema["maxLength"]
    elif kind == "array":
        yield list(islice(_values(schema.get("items", {}), depth + 1), min(3, schema.get("maxItems", 3))))
    elif kind == "object":
        yield from _mappings(schema, depth)
    else:
        yield from ("x", 1)


def _mappings(schema: Mapping[str, Any], depth: int) -> Iterator[Any]:
    if "properties" in schema:
        yield from _objects(schema, depth + 1)
    elif isinstance(inner := schema.get("additionalProperties"), Mapping):
        for value in _values(inner, depth + 1):
            yield {"x": value}
    else:
        yield from ({}, {"a": 1, "b": {"c": [None, True]}})


def _objects(schema: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    properties = schema["properties"]
    # What tells the kinds of a union apart is there always, though the document gives it a default.
    least = [name for name, one in properties.items() if name in schema.get("required", ()) or "const" in one]
    base = {name: next(iter(_values(properties[name], depth + 1))) for name in least}
    yield base
    if depth <= _DEEPEST:
        for name, one in properties.items():
            for value in _values(one, depth + 1):
                yield {**base, name: value}
