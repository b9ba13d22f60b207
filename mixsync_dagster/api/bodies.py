"""Reading request bodies: bounded, strict JSON, and into models with sentences that name the field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request

from mixsync_dagster.api.failures import ApiError
from mixsync_dagster.errors import FieldProblem, InvalidInput
from mixsync_dagster.model.base import Model
from mixsync_dagster.model.validation import parse, shown

MAX_BODY_BYTES = 1024 * 1024
MAX_LIST = 10_000
"""Most elements of one list, and keys of one mapping."""
MAX_DEPTH = 64

AnyModel = TypeVar("AnyModel", bound=Model)


async def _read_json(request: Request) -> Any:
    """Return the body's JSON value; None for an empty body, whatever its Content-Type says."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ApiError(413, "body_too_large", f"the body is too large; give at most {MAX_BODY_BYTES} bytes.")
    if not body.strip():
        return None
    try:
        value = json.loads(bytes(body), object_pairs_hook=_without_twins, parse_constant=_no_constant)
        _bounded(value)
    except ApiError:
        raise
    except (ValueError, RecursionError):
        raise ApiError(400, "invalid_json", "the body is no JSON; give JSON in UTF-8, or leave it empty.") from None
    return value


JsonBody = Annotated[Any, Depends(_read_json)]
"""The body's JSON value; None for an empty body."""


def required(model: type[AnyModel], body: Any) -> AnyModel:
    """Return the model that the body describes. Raises InvalidInput, also for an empty body."""
    if body is None:
        accepted = "a JSON object with the keys " + ", ".join(model.accepted_keys())
        raise InvalidInput([FieldProblem("", "", accepted, f"the body is missing; give {accepted}.")])
    return parse(model, body)


def optional(model: type[AnyModel], body: Any) -> AnyModel:
    """Return the model that the body describes; an empty body is an empty object. Raises InvalidInput."""
    return parse(model, {} if body is None else body)


def patch(model: type[AnyModel], body: Any) -> AnyModel:
    """Return the changes that the body asks for. Raises InvalidInput, and ApiError (400) when it asks for none."""
    accepted = model.accepted_keys()
    if body is None or (isinstance(body, Mapping) and all(body[key] is None and key in accepted for key in body)):
        keys = ", ".join(accepted)
        raise ApiError(400, "empty_patch", f"the body changes nothing; give at least one of the keys {keys}.")
    return parse(model, body)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ApiError(400, "key_twice", f"the key {shown(key)} is given twice in one object; give it once.")
        found[key] = value
    return found


def _no_constant(name: str) -> None:
    raise ApiError(400, "invalid_json", f"{name} is no JSON value; give a finite number or null.")


def _bounded(value: Any, depth: int = 0) -> None:
    if depth > MAX_DEPTH:
        raise ApiError(400, "too_deep", f"the body is nested too deeply; nest at most {MAX_DEPTH} levels.")
    if isinstance(value, dict | list):
        if len(value) > MAX_LIST:
            raise ApiError(413, "list_too_long", f"a list of the body is too long; give at most {MAX_LIST} elements.")
        for element in value.values() if isinstance(value, dict) else value:
            _bounded(element, depth + 1)
