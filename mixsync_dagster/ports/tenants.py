"""The state store as the API's gate sees it: keys, and whose buckets are whose.

The rules of `ports.state` hold here too: a method is one transaction, times are aware UTC, any may raise
StoreUnavailable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from mixsync_dagster.model.api_keys import ApiKey


@dataclass(frozen=True, slots=True)
class BucketOwner:
    """The tenant that a bucket belongs to."""

    internal_id: str
    namespace_id: str


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


class OwnerStore(Protocol):
    """Whose buckets are whose. A bucket without an entry was made by files or on the command line."""

    def own_bucket(self, bucket_id: str, owner: BucketOwner) -> None:
        """Say whose a bucket is, before it is saved. Raises Conflict when that was said already."""
        ...

    def bucket_owner(self, bucket_id: str) -> BucketOwner | None:
        """Return whose a bucket is; None for one without an entry, whether the bucket exists or not."""
        ...

    def bucket_owners(self) -> Mapping[str, BucketOwner]:
        """Return every entry by bucket id."""
        ...

    def delete_empty_bucket(self, bucket_id: str) -> None:
        """Remove a bucket with its entry. Raises Conflict while it has syncs or objects, NotFound."""
        ...
