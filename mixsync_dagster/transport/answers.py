"""What answers that are no success have in common, whatever the service; what they mean is each provider's business."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mixsync_dagster.errors import MixsyncError, ProviderUnavailable, RateLimited
from mixsync_dagster.transport.http import HttpAnswer, retry_after_seconds

OK = 200
TIMED_OUT = 408
TOO_MANY = 429
HIGHEST_CLIENT_ERROR = 499

_ERROR_BODY_BYTES = 64 * 1024


@dataclass(eq=False)
class Refusal(Exception):
    """An answer that is no success, in plain values; a provider's own error functions make errors of it."""

    status: int
    code: str = ""
    """The service's word for the reason; empty when the answer had no readable body."""
    retry_after: str | None = None
    """The Retry-After header."""

    def __str__(self) -> str:
        return f"status {self.status}" + (f" {self.code}" if self.code else "")


def error_body(answer: HttpAnswer) -> bytes:
    """Return the body of an answer, its first 64 KiB at most, and free the connection; empty where it breaks."""
    try:
        for chunk in answer.chunks(_ERROR_BODY_BYTES):
            return chunk
    except ProviderUnavailable:
        # The status alone has to do.
        pass
    finally:
        answer.close()
    return b""


def patience_error(
    refusal: Refusal, *, who: str, now: datetime, throttled: bool, failed: bool
) -> RateLimited | ProviderUnavailable | None:
    """Return the error that says to come again later, with the wait that the service asks for; None for neither.

    `who` begins the sentence: "The service".
    """
    wait = retry_after_seconds(refusal.retry_after, now)
    if throttled:
        return RateLimited(f"{who} asks to slow down ({refusal}).", retry_after_seconds=wait)
    if failed:
        return ProviderUnavailable(f"{who} failed to answer ({refusal}).", retry_after_seconds=wait)
    return None


def sign_in_error(status: int, retry_after: str | None, *, who: str, now: datetime) -> MixsyncError | None:
    """Return the error of a sign-in service that is throttled or down; None for any other answer."""
    refusal = Refusal(status, "", retry_after)
    down = status > HIGHEST_CLIENT_ERROR
    return patience_error(refusal, who=who, now=now, throttled=status == TOO_MANY, failed=down)
