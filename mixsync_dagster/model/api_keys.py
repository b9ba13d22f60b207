"""API keys: who may do what in which namespace. The key itself is never part of what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Role(StrEnum):
    """What a key may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    """Reads buckets, syncs, objects and batches."""
    EDITOR = "editor"
    """Also makes, changes, starts and deletes buckets and syncs."""
    ADMIN = "admin"
    """Also connections, which hold credentials."""

    def covers(self, needed: Role) -> bool:
        """Return whether the role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key."""

    prefix: str
    """The key's beginning, `sk_` and eight characters: its name, and no secret."""
    internal_id: str
    """The organisation (int_...)."""
    namespace_id: str
    """The only namespace that the key opens (ns_...)."""
    user_id: str
    """Whom the key's doings are told of (usr_...)."""
    role: Role
    description: str | None
    """None: no description."""
    created_at: datetime
    revoked_at: datetime | None = None
    """None: the key is valid."""
