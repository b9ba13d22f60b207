"""The OpenAPI document: FastAPI's paths with the models' own schemas."""

from __future__ import annotations

import threading
from inspect import getmembers, isclass
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from mixsync_dagster.api import answers, reports, requests
from mixsync_dagster.api.failures import ErrorResponse
from mixsync_dagster.model.connections import StorageConnectionCreateRequest, StorageConnectionUpdateRequest
from mixsync_dagster.model.syncs import SyncConfiguration, SyncCreateRequest, SyncUpdateRequest

_DESCRIPTION = (
    "Keeps buckets in step with external storage. Every path but the ones for watching takes an API key as "
    "`Authorization: Bearer sk_...`; a server without keys on a loopback address takes any request."
)


_MAKING = threading.Lock()
_MADE: dict[str, dict[str, Any]] = {}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the app's OpenAPI document; the same for every app of a version."""
    if app.openapi_schema is None:
        # It takes a second: once a process, and not once for each of the requests that come first.
        with _MAKING:
            if app.version not in _MADE:
                _MADE[app.version] = _made(app)
        app.openapi_schema = _MADE[app.version]
    return app.openapi_schema


def _made(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(title=app.title, version=app.version, description=_DESCRIPTION, routes=app.routes)
    document.setdefault("components", {})["schemas"] = _schemas()
    return document


def _schemas() -> dict[str, Any]:
    given: list[type[BaseModel]] = [
        StorageConnectionCreateRequest,
        StorageConnectionUpdateRequest,
        SyncCreateRequest,
        SyncUpdateRequest,
        *_models(requests),
    ]
    told: list[type[BaseModel]] = [SyncConfiguration, ErrorResponse, *_models(answers), *_models(reports)]
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [(model, "validation") for model in given]
    modes += [(model, "serialization") for model in told]
    _, schema = models_json_schema(
        modes,
        by_alias=True,
        ref_template="#/components/schemas/{model}",
    )
    schemas: dict[str, Any] = schema["$defs"]
    missing = {model.__name__ for model in (*given, *told)} - set(schemas)
    if missing:
        message = f"models without a schema of their own name: {sorted(missing)}"
        raise RuntimeError(message)
    return schemas


def _models(module: object) -> list[type[BaseModel]]:
    name = getattr(module, "__name__", "")
    return [
        found for _, found in getmembers(module, isclass) if found.__module__ == name and issubclass(found, BaseModel)
    ]
