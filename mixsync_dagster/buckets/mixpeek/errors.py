"""The one place where answers of the service become our errors.

An error body is `{"error": {"message", "type", "details"}}`; a 422 may have the form of the framework instead. The
service's own words are the only explanation of a refused object, so they are shown: redacted, on one line, cut short.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mixsync_dagster.errors import (
    BucketDenied,
    ConfigurationError,
    ItemError,
    ItemRefused,
    MixsyncError,
    NotFound,
    ProviderUnavailable,
    RateLimited,
)
from mixsync_dagster.transport.http import retry_after_seconds
from mixsync_dagster.transport.redact import redact

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _TIMED_OUT, _TOO_LARGE, _TOO_MANY = 401, 403, 404, 408, 413, 429
_SERVER_ERRORS = 500
_LONGEST = 200
_LARGE = re.compile(r"tier limit|too large|size limit|exceeds? .*(?:size|limit)|maximum (?:file )?size", re.IGNORECASE)
"""How a refusal for a file's size is told apart. Inferred: the service names no error type for it."""


@dataclass(eq=False)
class Refusal(Exception):
    """An answer with a 4xx status that speaks of this request, in plain values."""

    status: int
    type: str
    """The service's error type, e.g. NotFoundError; empty when the answer had none."""
    message: str
    """The service's words, safe to show; empty when there were none."""
    body: Mapping[str, Any]

    @property
    def absent(self) -> bool:
        """Whether what was asked for does not exist."""
        return self.status == _NOT_FOUND

    @property
    def too_large(self) -> bool:
        """Whether a file is larger than the service takes."""
        return self.status == _TOO_LARGE or _LARGE.search(self.message) is not None

    def __str__(self) -> str:
        told = " ".join(part for part in (f"status {self.status}", self.type) if part)
        return f"{told}: {self.message}" if self.message else told


def raise_for(status: int, headers: Mapping[str, str], body: Any, *, host: str, now: datetime) -> None:
    """Return for a success.

    Raises BucketDenied for 401 and 403, RateLimited, ProviderUnavailable, ConfigurationError where the service says
    that trying again is useless, and Refusal for every other status.
    """
    if status < 300:  # noqa: PLR2004 - all successes
        return
    told = body if isinstance(body, Mapping) else {}
    error = told.get("error")
    error = error if isinstance(error, Mapping) else {}
    details = error.get("details")
    details = details if isinstance(details, Mapping) else {}
    refusal = Refusal(status, _word(error.get("type")), shown(_message(error, told)), told)
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        raise BucketDenied(
            f"{host} refuses the API key of this bucket or its rights in the namespace ({refusal}); set another key, "
            "then resume the sync."
        )
    if status not in (_TOO_MANY, _TIMED_OUT) and status < _SERVER_ERRORS:
        raise refusal
    if details.get("retryable") is False:
        raise ConfigurationError(f"{host} refuses and says that trying again is useless ({refusal}).")
    wait = _wait(headers, details, now)
    if status == _TOO_MANY:
        raise RateLimited(f"{host} asks to slow down ({refusal}).", retry_after_seconds=wait)
    raise ProviderUnavailable(f"{host} failed to answer ({refusal}).", retry_after_seconds=wait)


def item_error(refusal: Refusal, *, path: str, what: str) -> ItemError:
    """Return the error of one item; `what` is what was refused, e.g. "the object of" or "the upload of"."""
    if refusal.too_large:
        return too_large(path, str(refusal))
    kind = "validation_error" if refusal.status in (400, 422) else "refused"
    return ItemRefused(f"the service refuses {what} {path} ({refusal}).", error_type=kind)


def too_large(path: str, reason: str) -> ItemRefused:
    """Return the error of a file that is larger than the service takes."""
    return ItemRefused(f"{path} is larger than the service takes ({reason}).", error_type="too_large")


def bucket_error(refusal: Refusal, *, bucket: str, namespace: str) -> MixsyncError:
    """Return the error of a request about the bucket itself."""
    if refusal.absent:
        return NotFound(f"the service has no bucket {bucket} in the namespace {namespace}; create it there first.")
    return ConfigurationError(f"the service refuses requests about bucket {bucket} ({refusal}).")


def shown(text: object) -> str:
    """Return words of the service as they may be shown: redacted, on one line, at most 200 characters."""
    line = redact(" ".join(str(text or "").split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."


def _message(error: Mapping[str, Any], body: Mapping[str, Any]) -> object:
    if error.get("message"):
        return error["message"]
    detail = body.get("detail")
    if isinstance(detail, list) and detail and isinstance(detail[0], Mapping):
        return detail[0].get("msg")
    return detail if isinstance(detail, str) else ""


def _wait(headers: Mapping[str, str], details: Mapping[str, Any], now: datetime) -> float | None:
    told = retry_after_seconds(headers.get("Retry-After"), now)
    if told is not None:
        return told
    seconds = details.get("retry_after_seconds")
    return float(seconds) if isinstance(seconds, int | float) and 0 <= seconds < float("inf") else None


def _word(value: object) -> str:
    return value if isinstance(value, str) and len(value) <= 64 and value.isprintable() else ""  # noqa: PLR2004 - a name
