"""API keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mixsync_dagster.errors import Conflict, NotFound
from mixsync_dagster.model.api_keys import ApiKey, Role
from mixsync_dagster.state import schema
from mixsync_dagster.state.leases import StorePart

_KEY = schema.api_keys.c


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


def _key(row: sa.Row[Any]) -> ApiKey:
    fields = {name: getattr(row, name) for name in ApiKey.__dataclass_fields__}
    return ApiKey(**{**fields, "role": Role(row.role)})
