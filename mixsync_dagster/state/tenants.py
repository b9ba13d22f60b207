"""API keys, and whose buckets are whose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mixsync_dagster.errors import Conflict, NotFound
from mixsync_dagster.model.api_keys import ApiKey, Role
from mixsync_dagster.ports.tenants import BucketOwner
from mixsync_dagster.state import schema
from mixsync_dagster.state.leases import StorePart

_KEY = schema.api_keys.c
_OWNER = schema.bucket_owners.c
_USED = (
    ("syncs", "SELECT 1 FROM syncs WHERE bucket_id = ? LIMIT 1"),
    ("objects", "SELECT 1 FROM objects WHERE bucket_id = ? AND state = 'active' LIMIT 1"),
)


class Keys(StorePart):
    """The KeyStore."""

    def add_key(self, key: ApiKey, digest: bytes) -> None:
        """See KeyStore.add_key."""
        values = {name: getattr(key, name) for name in ApiKey.__dataclass_fields__}
        try:
            with self._database.write() as tx:
                tx.execute(sa.insert(schema.api_keys).values({**values, "role": key.role.value, "digest": digest}))
        except IntegrityError as error:
            raise Conflict(f"the key {key.prefix} exists; make another one.") from error

    def find_key(self, prefix: str) -> tuple[ApiKey, bytes] | None:
        """See KeyStore.find_key."""
        with self._database.read() as tx:
            row = tx.execute(sa.select(schema.api_keys).where(_KEY.prefix == prefix)).one_or_none()
        return None if row is None else (_key(row), bytes(row.digest))

    def has_keys(self) -> bool:
        """See KeyStore.has_keys."""
        with self._database.read() as tx:
            return bool(tx.rows("SELECT 1 FROM api_keys LIMIT 1"))

    def list_keys(self) -> Sequence[ApiKey]:
        """See KeyStore.list_keys."""
        query = sa.select(schema.api_keys).order_by(_KEY.created_at, _KEY.prefix)
        with self._database.read() as tx:
            return [_key(row) for row in tx.execute(query).all()]

    def revoke_key(self, prefix: str, *, now: datetime) -> ApiKey:
        """See KeyStore.revoke_key."""
        valid = (_KEY.prefix == prefix) & _KEY.revoked_at.is_(None)
        with self._database.write() as tx:
            tx.execute(sa.update(schema.api_keys).where(valid).values(revoked_at=now))
            row = tx.execute(sa.select(schema.api_keys).where(_KEY.prefix == prefix)).one_or_none()
        if row is None:
            raise NotFound(f"there is no key {prefix}; `mixsync keys` lists them.")
        return _key(row)


class BucketOwners(StorePart):
    """The OwnerStore."""

    def own_bucket(self, bucket_id: str, owner: BucketOwner) -> None:
        """See OwnerStore.own_bucket."""
        values = {"bucket_id": bucket_id, "internal_id": owner.internal_id, "namespace_id": owner.namespace_id}
        try:
            with self._database.write() as tx:
                tx.execute(sa.insert(schema.bucket_owners).values(values))
        except IntegrityError as error:
            raise Conflict(f"bucket {bucket_id} has an owner already.") from error

    def bucket_owner(self, bucket_id: str) -> BucketOwner | None:
        """See OwnerStore.bucket_owner."""
        with self._database.read() as tx:
            row = tx.execute(sa.select(schema.bucket_owners).where(_OWNER.bucket_id == bucket_id)).one_or_none()
        return None if row is None else BucketOwner(row.internal_id, row.namespace_id)

    def bucket_owners(self) -> Mapping[str, BucketOwner]:
        """See OwnerStore.bucket_owners."""
        with self._database.read() as tx:
            rows = tx.execute(sa.select(schema.bucket_owners)).all()
        return {row.bucket_id: BucketOwner(row.internal_id, row.namespace_id) for row in rows}

    def delete_empty_bucket(self, bucket_id: str) -> None:
        """See OwnerStore.delete_empty_bucket; removed objects and batches of the bucket stay until they are taken."""
        this = schema.buckets.c.bucket_id == bucket_id
        with self._database.write() as tx:
            if tx.execute(sa.select(schema.buckets.c.bucket_id).where(this).with_for_update()).one_or_none() is None:
                raise NotFound(f"bucket {bucket_id} does not exist.")
            for what, query in _USED:
                if tx.rows(query, bucket_id):
                    raise Conflict(f"bucket {bucket_id} has {what}; only an empty bucket can be deleted.")
            tx.execute(sa.delete(schema.buckets).where(this))
            tx.execute(sa.delete(schema.bucket_owners).where(_OWNER.bucket_id == bucket_id))


def _key(row: sa.Row[Any]) -> ApiKey:
    fields = {name: getattr(row, name) for name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**fields, "role": Role(row.role)})
