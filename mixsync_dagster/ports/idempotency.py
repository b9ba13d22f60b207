"""The state store as repeated requests see it: what a request that names itself was answered with.

The rules of `ports.state` hold here too: a method is one transaction, times are aware UTC, any may raise
StoreUnavailable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class Standing(StrEnum):
    """How a request that names itself stands when it comes."""

    NEW = "new"
    """It is the first of its name, and may be carried out."""
    RESUMED = "resumed"
    """An earlier one of its name began and nobody works on it any more: it may be carried out again, carefully."""
    RUNNING = "running"
    """An earlier one of its name is being carried out."""
    DONE = "done"
    """It was carried out, and its answer is kept."""
    DIFFERENT = "different"
    """Its name was given to another request before."""


@dataclass(frozen=True, slots=True)
class Named:
    """A request's name: whose it is, and the key that the caller chose."""

    scope: str
    key: str


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a request that names itself."""

    standing: Standing
    reserved: str
    """The id that whatever the request makes shall have; the same for every repeat."""
    status: int | None = None
    body: str | None = None


class IdempotencyStore(Protocol):
    """Requests by their names, each of which is carried out by one caller at a time."""

    def begin_request(
        self, name: Named, *, fingerprint: str, reserved: str, token: str, hold_seconds: float, keep_since: datetime
    ) -> Begun:
        """Return how the request stands; NEW and RESUMED give the right to carry it out to `token`, for a while.

        Requests that were first seen before `keep_since` are forgotten.
        """
        ...

    def finish_request(self, name: Named, token: str, *, status: int, body: str) -> None:
        """Keep the answer; ignored when the right has gone to somebody else."""
        ...

    def end_request(self, name: Named, token: str, *, forget: bool) -> None:
        """Give the right back without an answer; with `forget`, as if the request had never come.

        Ignored when the right has gone to somebody else.
        """
        ...
