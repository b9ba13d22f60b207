"""From input to models: `parse`, and the one sentence that each problem is told in."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.base import HIDDEN, MISSING_KEY, NOT_ACCEPTED, REFUSED_KEY, UNKNOWN_KEY, Model

MAX_SHOWN_CHARS = 80

Loc = tuple[str | int, ...]
AnyModel = TypeVar("AnyModel", bound=BaseModel)

_SECRET_KEYS = frozenset({"credentials", "api_key"})
"""Keys below which every value may be a secret, by intention or by slip; none is shown."""
_ABSENT = object()
_AMBIGUOUS = re.compile(r"|\s.*|.*\s|[-+]?\d[\d_.,eE+-]*|true|false|null|yes|no", re.DOTALL | re.IGNORECASE)
"""Texts that need quotes to be told from numbers, booleans, or nothing."""
_SHOWN_SETTINGS = frozenset(
    {
        "provider_type", "region", "endpoint_url", "use_ssl", "verify_ssl", "dialect", "addressing_style",
        "shared_drive_id", "impersonate_user", "api_endpoint", "site_id", "drive_id", "folder_path", "graph_endpoint",
        "authority_host", "account", "warehouse", "database", "schema", "role", "incremental_column",
        "primary_key_columns", "query_timeout_seconds", "fetch_size", "host", "port", "protocol",
    }
)  # fmt: skip
"""Fields of `provider_config` whose values are shown; whatever else is found there may be a misplaced secret."""

_ACCEPTED_BY_TYPE = {
    "string_type": "text",
    "string_unicode": "text that is valid Unicode",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "invalid-json-value": "JSON values: text, numbers, true, false, null, lists and mappings of them",
    "recursion_loop": "a value that does not contain itself",
}


def parse(model_class: type[AnyModel], data: object, *, where: str = "") -> AnyModel:
    """Return the model that `data` (JSON or YAML values) describes.

    Raises InvalidInput with one problem for each unaccepted field; paths start with `where`. No message holds a secret.
    """
    try:
        return model_class.model_validate(data)
    except ValidationError as error:
        problems = [problem for _, problem in explain(error, data, where=where)]
    raise InvalidInput(problems)


def explain(error: ValidationError, data: object, *, where: str = "") -> list[tuple[Loc, FieldProblem]]:
    """Return the problems, each with the keys that lead to it in `data`, e.g. to find its line in a file."""
    found: dict[tuple[Loc, str], FieldProblem] = {}
    for line in error.errors(include_url=False):
        loc = _location_in(data, line["loc"], line["type"])
        problem = _problem(line, loc, where)
        found.setdefault((loc, problem.message), problem)
    return [(loc, problem) for (loc, _), problem in found.items()]


def shown(value: object) -> str:
    """Return a value for a message: one printable line of at most 80 characters, without passwords of URLs."""
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    if isinstance(value, str):
        text = re.sub(r"//[^/\s]*@", "//***@", value)
        text = re.sub(r"^(https?://[^?#\s]*)[?#].*$", r"\1?***", text, flags=re.DOTALL)
        if _AMBIGUOUS.fullmatch(text) or not text.isprintable():
            text = json.dumps(text)
    elif value is None or isinstance(value, bool):
        text = json.dumps(value)
    else:
        text = str(value)
    return text if len(text) <= MAX_SHOWN_CHARS else text[: MAX_SHOWN_CHARS - 3] + "..."


def _location_in(data: object, loc: Sequence[str | int], kind: str) -> Loc:
    """Return `loc` without the names of the union members that pydantic chose, which it adds to the keys."""
    tags = _tags()
    path: list[str | int] = []
    current: Any = data
    for index, step in enumerate(loc):
        found = _child(current, step)
        last = index == len(loc) - 1
        if found is _ABSENT and step in tags and not (last and kind == MISSING_KEY):
            continue
        path.append(step)
        current = None if found is _ABSENT else found
    return tuple(path)


def _child(container: Any, step: str | int) -> Any:
    if isinstance(container, Mapping):
        return container.get(step, _ABSENT)
    if isinstance(container, list | tuple) and isinstance(step, int) and step < len(container):
        return container[step]
    return _ABSENT


def _tags() -> frozenset[str]:
    """Return every name of a union member that can stand in a location."""
    tags = {"value", "reference", "[key]", "str", "int", "float", "bool", "list", "dict", "NoneType"}
    classes: list[type[Model]] = [Model]
    while classes:
        subclasses = classes.pop().__subclasses__()
        classes += subclasses
        for subclass in subclasses:
            for field in subclass.model_fields.values():
                if get_origin(field.annotation) is Literal:
                    tags.update(get_args(field.annotation))
    return frozenset(tags)


def _dotted(loc: Sequence[str | int], where: str) -> str:
    steps = [where] if where else []
    return ".".join(steps + [str(step) for step in loc])


def _shown_step(step: str | int) -> str | int:
    """Return a key for a message: as it is, or what `shown` makes of one that is empty, long or not printable."""
    if isinstance(step, str) and not (step.isprintable() and 0 < len(step) <= MAX_SHOWN_CHARS):
        return shown(step)
    return step


def _may_be_secret(loc: Loc) -> bool:
    if _SECRET_KEYS.intersection(loc):
        return True
    return "provider_config" in loc and loc[-1] not in _SHOWN_SETTINGS


def _problem(line: ErrorDetails, loc: Loc, where: str) -> FieldProblem:
    field = _dotted(loc, where)
    subject = _dotted([_shown_step(step) for step in loc], where) or "the input"
    kind = line["type"]
    accepted = _accepted(line)
    if kind == REFUSED_KEY:
        return FieldProblem(field, "", "", f"{subject}: {accepted}")
    if kind == UNKNOWN_KEY and not accepted:
        return FieldProblem(
            field, "", "no key at all", f"{subject} is not a known key; there are none here, leave it out."
        )
    if kind in (UNKNOWN_KEY, "extra_forbidden"):
        return FieldProblem(field, "", accepted, f"{subject} is not a known key; the accepted keys are {accepted}.")
    if kind in (MISSING_KEY, "missing"):
        return FieldProblem(field, "", accepted, f"{subject} is missing; give {accepted}.")
    if line["input"] is HIDDEN or _may_be_secret((*where.split("."), *loc)):
        return FieldProblem(field, "", accepted, f"{subject} holds a value that is not accepted; give {accepted}.")
    value = shown(line["input"])
    return FieldProblem(field, value, accepted, f"{subject}: {value} is not accepted; give {accepted}.")


def _accepted(line: ErrorDetails) -> str:
    kind = line["type"]
    context = line.get("ctx", {})
    if kind in (NOT_ACCEPTED, UNKNOWN_KEY, MISSING_KEY):
        return str(context["accepted"])
    if kind == REFUSED_KEY:
        return str(context["sentence"])
    if kind in ("enum", "literal_error"):
        return str(context["expected"]).replace("'", "")
    return _ACCEPTED_BY_TYPE.get(kind, "another value: " + line["msg"][:1].lower() + line["msg"][1:])
