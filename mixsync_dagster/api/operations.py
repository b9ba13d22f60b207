"""One way to add an operation: its path, its forms and the errors that it can answer with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from mixsync_dagster.api.examples import EXAMPLES
from mixsync_dagster.api.failures import Answer

_MEANINGS = {
    400: "The body is no JSON, or asks for nothing.",
    401: "The key is missing or not accepted.",
    403: "The key does not open the namespace, or its role does not cover this.",
    404: "It does not exist, or belongs to somebody else.",
    409: "It does not fit the present state.",
    413: "The body is too large.",
    416: "The range lies outside of the bytes.",
    422: "A field or parameter is not accepted; `error.details.problems` says which.",
    429: "The key has made too many requests; Retry-After says when to come back.",
    431: "The headers are too large.",
    500: "A mistake of the server.",
    503: "The state store or the provider does not answer; Retry-After says when to come back.",
}
_ALWAYS = (401, 403, 422, 429, 431, 500, 503)
_WITH_BODY = (400, 413)

Endpoint = Callable[..., Any]


def operation(
    router: APIRouter,
    method: str,
    path: str,
    *,
    summary: str,
    answer: type[BaseModel],
    request: type[BaseModel] | None = None,
    body_required: bool = True,
    errors: tuple[int, ...] = (404,),
) -> Callable[[Endpoint], Endpoint]:
    """Return a decorator that serves the path by a function, which returns the answer's JSON values.

    `request` is only told in the OpenAPI document; the function itself reads its body.
    """

    def add(endpoint: Endpoint) -> Endpoint:
        told = errors_told(*errors, *(_WITH_BODY if request is not None else ()))
        extra = {} if request is None else {"requestBody": {"required": body_required, **_body(request.__name__)}}
        router.add_api_route(
            path,
            endpoint,
            methods=[method],
            summary=summary,
            operation_id=f"{endpoint.__name__}{router.prefix.replace('/', '_')}",
            response_model=None,
            response_class=Answer,
            responses={
                200: told_as(answer),
                **told,
            },
            openapi_extra=extra,
        )
        return endpoint

    return add


def errors_told(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return what the OpenAPI document says of these errors, and of those that every operation may answer with."""
    told = sorted({*_ALWAYS, *codes})
    return {code: {"description": _MEANINGS[code], **_content("ErrorResponse")} for code in told}


def told_as(answer: type[BaseModel]) -> dict[str, Any]:
    """Return what the OpenAPI document says of a success."""
    return {"description": "Done.", **_content(answer.__name__)}


def _body(name: str) -> dict[str, Any]:
    told = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    return {"content": {"application/json": {**told, "example": EXAMPLES[name]} if name in EXAMPLES else told}}


def _content(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
