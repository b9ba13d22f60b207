"""The state store as the API's gate sees it: keys, and what they are digested with.

The rules of `ports.state` hold here too: a method is one transaction, times are aware UTC, any may raise
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from mixsync_dagster.model.api_keys import ApiKey


class KeyStore(Protocol):
    """API keys by their prefix, each with a digest from which the key cannot be told."""

    def add_key(self, key: ApiKey, digest: bytes) -> None:
        """Store a new key. Raises Conflict when the prefix is taken."""
        ...

    def find_key(self, prefix: str) -> tuple[ApiKey, bytes] | None:
        """Return a key with its digest, revoked or not; None when there is none."""
        ...

    def has_keys(self) -> bool:
        """Return whether a key was ever made; revoked ones count."""
        ...

    def list_keys(self) -> Sequence[ApiKey]:
        """Return all keys, revoked ones too, oldest first."""
        ...

    def revoke_key(self, prefix: str, *, now: datetime) -> ApiKey:
        """Make a key worthless from the next request on; again changes nothing. Raises NotFound."""
        ...


class SecretStore(Protocol):
    """What is sealed with the secret key, and the exchange of that key."""

    def keep_pepper(self, pepper: bytes) -> None:
        """Keep the secret that digests of API keys are made with; one that is there already stays.

        It outlives every secret key, for digests cannot be made anew.
        """
        ...

    def pepper(self) -> bytes:
        """Return that secret. Raises ConfigurationError when none is kept, or the key that sealed it is not known."""
        ...

    def old_seals(self) -> Sequence[str]:
        """Return the ids of whatever is not sealed with the present key, or in an earlier form."""
        ...

    def reseal(self, identifier: str) -> bool:
        """Seal what belongs to the id with the present key, in one transaction; False when that was done already.

        Raises ConfigurationError when it cannot be opened.
        """
        ...

    def forget_old_keys(self, forget: Callable[[], None]) -> bool:
        """Call `forget` while nobody seals, unless something is left that needs an old key; return whether it was."""
        ...
