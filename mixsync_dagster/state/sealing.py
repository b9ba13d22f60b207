"""Secrets as the state store keeps them: sealed for their owners, and sealed anew when the key is exchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.tenants import Namespace
from mixsync_dagster.state import schema
from mixsync_dagster.state.cipher import Cipher, SecretKeys, SecretOwner
from mixsync_dagster.state.database import Database, Transaction
from mixsync_dagster.state.leases import StorePart

KeySource = Callable[[], SecretKeys]
"""Gives the keys as they are now."""

# Any number, as long as every version of this project asks for the same one.
_SEALING_LOCK = 7_381_904_512
_PEPPER = "pepper of API keys"


def connection_secret(connection_id: str, internal_id: str) -> SecretOwner:
    """Return whose a connection's credentials are: its own, in its organisation."""
    return SecretOwner("connection", internal_id, "", connection_id)


def bucket_secret(bucket_id: str, namespace: Namespace) -> SecretOwner:
    """Return whose a hosted bucket's key is: its own, in its namespace."""
    return SecretOwner("bucket", namespace.internal_id, namespace.namespace_id, bucket_id)


class SecretKeepingPart(StorePart):
    """A part of the store that seals; `key` is one key for ever, or what gives the keys as they are now."""

    def __init__(self, database: Database, key: bytes | KeySource) -> None:
        super().__init__(database)
        self._cipher = Cipher(SecretKeys(key)) if isinstance(key, bytes) else Cipher(key(), read_again=key)

    def _sealed(self, tx: Transaction, values: Mapping[str, Any], owner: SecretOwner) -> bytes:
        """Return the values sealed with the key as it is now, in the transaction that stores them.

        Whoever exchanges the key waits for the transaction, and meets what it stored.
        """
        if tx.postgres:
            tx.rows("SELECT pg_advisory_xact_lock_shared(?)", _SEALING_LOCK)
        self._cipher.refresh()
        return self._cipher.encrypt(values, owner=owner)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Where secrets are kept: a column, and whose those of a row are."""

    table: sa.Table
    key: sa.Column[Any]
    sealed: sa.Column[Any]
    owner_of: Callable[[sa.Row[Any]], SecretOwner]


_CONNECTION = schema.connections.c
_BUCKET = schema.buckets.c
_SERVER = schema.server_secrets.c
_PLACES = (
    _Kept(
        schema.connections,
        _CONNECTION.connection_id,
        _CONNECTION.credentials,
        lambda row: connection_secret(row.connection_id, row.internal_id),
    ),
    _Kept(
        schema.buckets,
        _BUCKET.bucket_id,
        _BUCKET.credentials,
        lambda row: bucket_secret(row.bucket_id, Namespace(row.internal_id, row.namespace_id)),
    ),
    _Kept(schema.server_secrets, _SERVER.name, _SERVER.sealed, lambda row: _server_secret(row.name)),
)


def _server_secret(name: str) -> SecretOwner:
    return SecretOwner("server", "", "", name)


class Sealing(SecretKeepingPart):
    """The SecretStore."""

    def keep_pepper(self, pepper: bytes) -> None:
        """See SecretStore.keep_pepper."""
        with self._database.write() as tx:
            # Of two that come at once, the second finds the first one's.
            if tx.postgres:
                tx.rows("SELECT pg_advisory_xact_lock(?)", _SEALING_LOCK)
            if tx.execute(sa.select(_SERVER.name).where(_SERVER.name == _PEPPER)).one_or_none() is None:
                sealed = self._sealed(tx, {"value": pepper.hex()}, _server_secret(_PEPPER))
                tx.execute(sa.insert(schema.server_secrets).values(name=_PEPPER, sealed=sealed))

    def pepper(self) -> bytes:
        """See SecretStore.pepper."""
        with self._database.read() as tx:
            found = tx.execute(sa.select(_SERVER.sealed).where(_SERVER.name == _PEPPER)).scalar_one_or_none()
        if found is None:
            raise ConfigurationError("the state store has no secret for API keys; run `mixsync init`.")
        values = self._cipher.decrypt(bytes(found), owner=_server_secret(_PEPPER))
        return bytes.fromhex(values["value"])

    def old_seals(self) -> Sequence[str]:
        """See SecretStore.old_seals."""
        self._cipher.refresh()
        with self._database.read() as tx:
            return [identifier for place in _PLACES for identifier in self._old(tx, place)]

    def reseal(self, identifier: str) -> bool:
        """See SecretStore.reseal."""
        with self._database.write() as tx:
            for place in _PLACES:
                query = sa.select(place.table).where(place.key == identifier, self._is_old(place))
                row = tx.execute(query.with_for_update()).one_or_none()
                if row is not None:
                    owner = place.owner_of(row)
                    values = self._cipher.decrypt(bytes(getattr(row, place.sealed.name)), owner=owner)
                    sealed = {place.sealed.name: self._sealed(tx, values, owner)}
                    tx.execute(sa.update(place.table).where(place.key == identifier).values(sealed))
                    return True
        return False

    def forget_old_keys(self, forget: Callable[[], None]) -> bool:
        """See SecretStore.forget_old_keys."""
        with self._database.write() as tx:
            if tx.postgres:
                tx.rows("SELECT pg_advisory_xact_lock(?)", _SEALING_LOCK)
            self._cipher.refresh()
            if any(self._old(tx, place) for place in _PLACES):
                return False
            forget()
        return True

    def _old(self, tx: Transaction, place: _Kept) -> list[str]:
        query = sa.select(place.key).where(self._is_old(place)).order_by(place.key)
        return [str(identifier) for identifier in tx.execute(query).scalars()]

    def _is_old(self, place: _Kept) -> sa.ColumnElement[bool]:
        head = self._cipher.head
        return place.sealed.is_not(None) & (sa.func.substr(place.sealed, 1, len(head)) != sa.literal(head))
