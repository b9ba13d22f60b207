"""Whose definitions these are, and new identifiers for them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from mixsync_dagster.model.tenants import LOCAL_NAMESPACE, Namespace

_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_LENGTH = 15


@dataclass(frozen=True, slots=True)
class Owner:
    """The organisation, namespace and user that a definition belongs to."""

    internal_id: str
    namespace_id: str
    user_id: str

    @property
    def namespace(self) -> Namespace:
        """Where the owner's things are."""
        return Namespace(self.internal_id, self.namespace_id)


LOCAL_OWNER = Owner(LOCAL_NAMESPACE.internal_id, LOCAL_NAMESPACE.namespace_id, "usr_local")
"""Who owns what is defined by files and on the command line, where there is one owner only."""


def new_connection_id() -> str:
    """Return a new id `conn_...`, different at every call."""
    return "conn_" + _token()


def new_sync_config_id() -> str:
    """Return a new id `sync_...`, different at every call."""
    return "sync_" + _token()


def new_bucket_id() -> str:
    """Return a new id `bkt_...`, different at every call."""
    return "bkt_" + _token()


def new_user_id() -> str:
    """Return a new id `usr_...`, different at every call."""
    return "usr_" + _token()


def new_sync_run_id() -> str:
    """Return a new id `run_...`, different at every call."""
    return "run_" + _token()


def _token() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_LENGTH))
