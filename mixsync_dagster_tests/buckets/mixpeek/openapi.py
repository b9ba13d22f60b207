"""The vendor's OpenAPI 0.81, cut down to types, and what exchanges are held against it."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from mixsync_dagster.testing.mixpeek_simulator import Exchange
from mixsync_dagster.testing.mixpeek_simulator.faults import DOWNLOAD, PUT

DOCUMENT: dict[str, Any] = json.loads(Path(__file__).with_name("openapi_0_81.json").read_text("utf-8"))


def check(exchange: Exchange) -> None:
    """Return if the document knows the request and takes both bodies. Raises AssertionError naming what it refuses."""
    if exchange.kind in (PUT, DOWNLOAD):
        return
    operation = _operation(exchange.method, exchange.path)
    assert operation is not None, f"{exchange.method} {exchange.path} is not in the document"
    unknown = exchange.query.keys() - operation["query"].keys()
    assert not unknown, f"{exchange.kind}: query {sorted(unknown)} is not in the document"
    if exchange.sent is None:
        assert not operation.get("request_required"), f"{exchange.kind}: the body is missing"
    else:
        assert "request" in operation, f"{exchange.kind}: the document knows no body"
        _hold(exchange.sent, operation["request"], f"{exchange.kind} sent")
        _hold_known_keys(exchange, operation["request"])
    if exchange.status:
        told = operation["responses"].get(str(exchange.status), {"$ref": "#/components/schemas/ErrorResponse"})
        if told is not None:
            _hold(exchange.answered, told, f"{exchange.kind} answered {exchange.status}")


def _operation(method: str, path: str) -> dict[str, Any] | None:
    found = [
        (template.count("{"), operations[method.lower()])
        for template, operations in DOCUMENT["paths"].items()
        if method.lower() in operations and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    ]
    return min(found, key=lambda one: one[0])[1] if found else None


def _hold(value: Any, schema: dict[str, Any], what: str) -> None:
    errors = sorted(_validator(json.dumps(schema)).iter_errors(value), key=str)
    assert not errors, f"{what}: {errors[0].json_path}: {errors[0].message[:300]}"


def _hold_known_keys(exchange: Exchange, schema: dict[str, Any]) -> None:
    """Refuse keys that the model does not declare, where it does not say that it takes any."""
    model = DOCUMENT["components"]["schemas"].get(schema.get("$ref", "").rpartition("/")[2])
    if model is not None and not model.get("additionalProperties"):
        unknown = exchange.sent.keys() - model["properties"].keys()
        assert not unknown, f"{exchange.kind} sent: {sorted(unknown)} is not declared"


@cache
def _validator(schema: str) -> jsonschema.Draft202012Validator:
    whole = {**json.loads(schema), "components": DOCUMENT["components"]}
    return jsonschema.Draft202012Validator(whole)
