"""From errors to answers: one body for every error, in the two forms that clients read."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from mixsync_dagster.errors import (
    AccessDenied,
    AlreadyLocked,
    ConfigurationError,
    Conflict,
    FieldProblem,
    InvalidInput,
    MixsyncError,
    NotFound,
    PathNotFound,
    StoreUnavailable,
    Throttled,
)
from mixsync_dagster.transport.redact import summary

_LOG = logging.getLogger(__name__)
_TYPES = {
    400: "BadRequestError",
    401: "UnauthorizedError",
    403: "ForbiddenError",
    404: "NotFoundError",
    405: "MethodNotAllowedError",
    409: "ConflictError",
    413: "PayloadTooLargeError",
    416: "RangeNotSatisfiableError",
    422: "ValidationError",
    429: "TooManyRequestsError",
    431: "HeadersTooLargeError",
    500: "InternalServerError",
    503: "ServiceUnavailableError",
}
"""`error.type` by status."""

_KNOWN: tuple[tuple[type[MixsyncError], int, str], ...] = (
    (NotFound, 404, "not_found"),
    (Conflict, 409, "conflict"),
    (AlreadyLocked, 409, "already_locked"),
    (PathNotFound, 422, "path_not_found"),
    (AccessDenied, 422, "provider_access_denied"),
    (ConfigurationError, 422, "configuration"),
    (Throttled, 503, "provider_unavailable"),
)
RETRY_AFTER_SECONDS = 5
"""What clients are told to wait when something behind the API does not answer."""


class ErrorDetail(BaseModel):
    """What went wrong."""

    message: str = Field(description="One sentence for a person.")
    type: str = Field(description="The class of the error; it follows from the status.", examples=["NotFoundError"])
    code: str = Field(description="The stable word for programs.", examples=["not_found"])
    details: dict[str, Any] | None = Field(
        default=None, description="`problems` with the path of each field, where fields are the matter."
    )


class ValidationDetail(BaseModel):
    """One unaccepted field, in the form that FastAPI gives it."""

    loc: list[str | int] = Field(description="body, query, path or header, and the keys below it.")
    msg: str = Field(description="One sentence for a person.")
    type: str = Field(description="Always `value_error`.")


class ErrorResponse(BaseModel):
    """The body of every error."""

    success: bool = Field(default=False, description="Always false.")
    status: int = Field(description="The HTTP status.")
    error: ErrorDetail
    request_id: str = Field(description="Also in the header X-Request-Id; the log tells of it.")
    detail: list[ValidationDetail] | None = Field(default=None, description="Only with 422: the problems once more.")


@dataclass(eq=False)
class ApiError(Exception):
    """An error of HTTP itself, such as a body that is no JSON."""

    status: int
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()
    field: tuple[str, str] | None = None
    """The part of the request and the name in it that are the matter, where something in it is."""
    details: Mapping[str, Any] | None = None


class Answer(JSONResponse):
    """A JSON answer; ASCII, so that names which are not valid Unicode are told too."""

    def render(self, content: Any) -> bytes:
        """Return the body."""
        return json.dumps(content, separators=(",", ":"), allow_nan=False).encode("ascii")


def error_answer(
    request_id: str,
    status: int,
    code: str,
    message: str,
    *,
    problems: Sequence[tuple[str, FieldProblem]] | None = None,
    headers: Sequence[tuple[str, str]] = (),
    details: Mapping[str, Any] | None = None,
) -> Answer:
    """Return the answer for an error; `problems` go with the part of the request that holds them."""
    told_details = None if details is None else dict(details)
    body: dict[str, Any] = {"success": False, "status": status}
    if problems is not None:
        told = [{"field": p.field, "accepted": p.accepted, "message": p.message} for _, p in problems]
        told_details = {**(told_details or {}), "problems": told}
        body["detail"] = [
            {"loc": [place, *_steps(p.field)], "msg": p.message, "type": "value_error"} for place, p in problems
        ]
    kind = _TYPES.get(status, "HttpError")
    body["error"] = {"message": message, "type": kind, "code": code, "details": told_details}
    body["request_id"] = request_id
    given = dict(headers)
    if status == 503:  # noqa: PLR2004 - Service Unavailable
        given.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return Answer(body, status_code=status, headers=given)


def answer_mixsync_error(request: Request, error: Exception) -> Answer:
    """Return the answer for an error that was raised on purpose."""
    request_id = request_id_of(request)
    if isinstance(error, InvalidInput):
        problems = [("body", problem) for problem in error.problems]
        return error_answer(request_id, 422, "invalid_input", str(error), problems=problems)
    for kind, status, code in _KNOWN:
        if isinstance(error, kind):
            # 422 has a form of its own, also where no field is the matter.
            told = [("body", FieldProblem("", "", "", str(error)))] if status == 422 else None  # noqa: PLR2004
            return error_answer(request_id, status, code, str(error), problems=told)
    # What a database driver says may name machines and users.
    _LOG.error("request %s failed: %s", request_id, summary(error))
    if isinstance(error, StoreUnavailable):
        return error_answer(request_id, 503, "store_unavailable", "the state store does not answer; try again later.")
    return error_answer(request_id, 500, "internal", "the request could not be done; the log of the server says why.")


def answer_api_error(request: Request, error: Exception) -> Answer:
    """Return the answer for an ApiError."""
    assert isinstance(error, ApiError)  # noqa: S101 - what the handler is registered for
    problems = None
    if error.field is not None:
        place, name = error.field
        problems = [(place, FieldProblem(name, "", "", error.message))]
    return error_answer(
        request_id_of(request),
        error.status,
        error.code,
        error.message,
        problems=problems,
        headers=error.headers,
        details=error.details,
    )


def answer_http_exception(request: Request, error: Exception) -> Answer:
    """Return the answer for what the framework refuses: a path or a method that is not there."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what the handler is registered for
    code, message = {
        404: ("no_such_path", "there is nothing at this path; /docs lists what there is."),
        405: ("method_not_allowed", "this path does not take this method; /docs lists what it takes."),
    }.get(error.status_code, ("http", "the request is not accepted."))
    headers = tuple((error.headers or {}).items())
    return error_answer(request_id_of(request), error.status_code, code, message, headers=headers)


def answer_bad_parameters(request: Request, error: Exception) -> Answer:
    """Return the answer for query, path and header values that are not accepted."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what the handler is registered for
    problems = []
    for one in error.errors():
        place, *steps = one["loc"]
        field = ".".join(str(step) for step in steps)
        said = f"{field}: the value is not accepted: {one['msg'][:1].lower()}{one['msg'][1:]}."
        problems.append((str(place), FieldProblem(field, "", one["msg"], said)))
    message = "\n".join(problem.message for _, problem in problems)
    return error_answer(request_id_of(request), 422, "invalid_input", message, problems=problems)


def invalid_query(field: str, message: str) -> RequestValidationError:
    """Return the error about one query parameter; `message` finishes the sentence "the value is not accepted: "."""
    return RequestValidationError([{"loc": ("query", field), "msg": message, "type": "value_error"}])


def request_id_of(request: Request) -> str:
    """Return the id that the request was given."""
    return str(request.scope.get("mixsync_request_id", "req_unknown"))


def _steps(field: str) -> list[str | int]:
    return [int(step) if step.isdecimal() and step.isascii() else step for step in field.split(".") if step]
