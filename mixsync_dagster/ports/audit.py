"""The record of who changed what, as its users see it.

The rules of `ports.state` hold here too: a method is one transaction, times are aware UTC, any may raise
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mixsync_dagster.model.tenants import Namespace


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change that somebody made, or was refused. No value that was given is part of it."""

    entry_id: str
    """Ids grow with time."""
    at: datetime
    internal_id: str
    namespace_id: str
    user_id: str
    key_prefix: str | None
    """The API key's beginning; None: no key was needed."""
    origin: str
    """`api` or `command`."""
    operation: str
    """What was asked for, e.g. `update_connection`."""
    resource: str | None
    """Kind and id of what it was about, the outermost first; None: nothing that has an id."""
    outcome: str
    """`done`, `refused`, or `failed` for a mistake of the server or an outage."""
    status: int | None = None
    """The HTTP status; None: a command."""
    request_id: str | None = None
    """As the log and the answer tell it; None: a command."""


class AuditStore(Protocol):
    """Entries are added and read, and removed when they are old; nothing changes one."""

    def add_entry(self, entry: AuditEntry) -> None:
        """Add an entry."""
        ...

    def list_entries(
        self, *, within: Namespace | None = None, since: datetime | None = None, limit: int
    ) -> Sequence[AuditEntry]:
        """Return the newest entries, newest first; of one namespace, and not older than `since`, when given."""
        ...

    def forget_entries(self, *, before: datetime) -> int:
        """Remove entries that are older, and return how many."""
        ...
