"""Requests as they were told apart, answers as they are sent, and the errors between them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Request:
    """One request whose body was read."""

    kind: str
    groups: Mapping[str, str]
    """The parts of the path by name: bucket, id."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case names."""
    body: bytes

    def json(self) -> dict[str, Any]:
        """Return the body as an object; empty for none. Raises Refused (422) for anything else."""
        try:
            found = json.loads(self.body or b"{}")
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Refused(422, "ValidationError", "the body is no JSON object")
        return found


@dataclass(frozen=True)
class Answer:
    """What is sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200) -> Answer:
        """Return a JSON answer."""
        return cls(status, json.dumps(value).encode(), {"Content-Type": "application/json"})


class Refused(Exception):
    """An answer with the vendor's error body."""

    def __init__(
        self,
        status: int,
        error_type: str,
        message: str,
        *,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": error_type, "details": None if details is None else dict(details)}
        self.headers = dict(headers or {})

    def answer(self) -> Answer:
        """Return the answer; a 422 carries the form of the framework as well, as 0.81 declares it."""
        body: dict[str, Any] = {"success": False, "status": self.status, "error": self.error}
        if self.status == 422:  # noqa: PLR2004 - Unprocessable Content
            message = self.error["message"]
            body["detail"] = [{"loc": ["body"], "msg": message, "type": "value_error"}]
        told = Answer.of(body, self.status)
        return Answer(self.status, told.body, {**told.headers, **self.headers})


def integer(request: Request, name: str, *, low: int, high: int, default: int) -> int:
    """Return a number of the query. Raises Refused (422) outside of its bounds."""
    text = request.query.get(name)
    if text is None:
        return default
    if not text.lstrip("-").isdigit() or not low <= int(text) <= high:
        raise Refused(422, "ValidationError", f"query.{name}: {text} is not from {low} to {high}")
    return int(text)
