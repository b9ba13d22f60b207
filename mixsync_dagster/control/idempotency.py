"""Carrying a request out once, however often it comes: by the key that its caller gave it.

Before a request is carried out, its key is stored with the id that whatever it makes shall have. A process that dies in
the middle leaves this behind, and the next repeat looks for the id before it makes anything: so nothing is made twice.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mixsync_dagster.errors import ConfigurationError, Conflict, MixsyncError
from mixsync_dagster.ports.idempotency import IdempotencyStore, Named, Standing

KEPT = timedelta(hours=24)
"""How long an answer is kept."""
STATUS = 200
"""The status of every answer that is kept: refusals are not."""


class KeyReused(ConfigurationError):
    """The key was given to another request before."""


class StillRunning(Conflict):
    """An earlier request with the key is being carried out."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What a request does."""

    reserve: Callable[[], str]
    """Returns an id for what will be made."""
    make: Callable[[str], Any]
    """Carries it out under the id and returns the answer. An error of ours from it means that nothing was made."""
    find: Callable[[str], Any | None]
    """Returns the answer for what was made under the id before; None when nothing was."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a request led to."""

    answer: Any
    repeated: bool
    """Whether the answer is that of an earlier request."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Carries out requests that name themselves."""

    store: IdempotencyStore
    hold_seconds: float
    """For how long a request is thought to be under way; longer than any takes."""

    def once(self, name: Named, fingerprint: str, deed: Deed, *, now: datetime) -> Done:
        """Carry the request out, or return what it was answered with before.

        What it is refused with is not kept: a repeat is carried out anew. Raises KeyReused when the fingerprint is
        another one than that of the key's first request, StillRunning, and what the deed raises.
        """
        token = secrets.token_hex(16)
        begun = self.store.begin_request(
            name,
            fingerprint=fingerprint,
            reserved=deed.reserve(),
            token=token,
            hold_seconds=self.hold_seconds,
            keep_since=now - KEPT,
        )
        if begun.standing is Standing.DIFFERENT:
            raise KeyReused("the key was given to another request before; give every request a key of its own.")
        if begun.standing is Standing.RUNNING:
            raise StillRunning("the first request with this key is still being carried out; ask again in a moment.")
        if begun.standing is Standing.DONE:
            return Done(json.loads(begun.body or "null"), repeated=True)
        answer = self._carried_out(name, token, deed, begun.reserved, resumed=begun.standing is Standing.RESUMED)
        self.store.finish_request(name, token, status=STATUS, body=json.dumps(answer, separators=(",", ":")))
        return Done(answer, repeated=False)

    def _carried_out(self, name: Named, token: str, deed: Deed, reserved: str, *, resumed: bool) -> Any:
        try:
            found = deed.find(reserved) if resumed else None
            return deed.make(reserved) if found is None else found
        except ConfigurationError:
            # Refused, and nothing was made.
            self.store.end_request(name, token, forget=True)
            raise
        except MixsyncError:
            # An outage may have come before the change or after it: the next one looks.
            self.store.end_request(name, token, forget=False)
            raise
