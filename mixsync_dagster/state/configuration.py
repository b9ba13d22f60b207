"""Definitions of connections, buckets and syncs; secrets are encrypted before they reach a statement."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from mixsync_dagster.errors import Conflict, InvalidInput, NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.secrets import reveal
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE, Namespace
from mixsync_dagster.model.validation import parse
from mixsync_dagster.state import schema, sync_rows
from mixsync_dagster.state.connection_use import follow
from mixsync_dagster.state.database import Transaction
from mixsync_dagster.state.leases import StorePart
from mixsync_dagster.state.sealing import SecretKeepingPart, bucket_secret, connection_secret

_CONNECTION = schema.connections.c
_BUCKET = schema.buckets.c
_SYNC = schema.syncs.c
_USED = (
    ("syncs", "SELECT 1 FROM syncs WHERE bucket_id = ? LIMIT 1"),
    ("objects", "SELECT 1 FROM objects WHERE bucket_id = ? AND state = 'active' LIMIT 1"),
)
_FENCE_OFF = "UPDATE leases SET holder = '', run_id = '', expires_at = 0, fence = fence + 1 WHERE sync_config_id = ?"
_LIST_AGAIN = """
    UPDATE syncs SET pending_full_sync = TRUE WHERE sync_config_id = ? AND EXISTS (
        SELECT 1 FROM checkpoints c WHERE c.sync_config_id = syncs.sync_config_id
            AND (c.feed_head IS NOT NULL OR c.kind = 'change_feed')
    )
"""
_FORGET_SYNC = (
    _FENCE_OFF,
    "UPDATE runs SET status = 'interrupted' WHERE sync_config_id = ? AND status = 'running'",
    "UPDATE batches SET state = 'failed' WHERE sync_config_id = ? AND state = 'sealed'",
    "DELETE FROM outbox WHERE sync_config_id = ?",
    "DELETE FROM batch_items WHERE sync_config_id = ? AND batch_id IS NULL",
    "DELETE FROM intents WHERE sync_config_id = ?",
    "DELETE FROM dead_letters WHERE sync_config_id = ?",
    "DELETE FROM checkpoints WHERE sync_config_id = ?",
    "DELETE FROM refusals WHERE sync_config_id = ?",
    "DELETE FROM inventory WHERE sync_config_id = ?",
    "DELETE FROM syncs WHERE sync_config_id = ?",
)


class Connections(SecretKeepingPart):
    """The connections of ConfigStore."""

    def save_connection(self, connection: StorageConnection, *, credentials: Mapping[str, Any] | None) -> None:
        """See ConfigStore.save_connection."""
        values: dict[str, Any] = {
            "name": connection.name,
            "archived": connection.status is TaskStatus.ARCHIVED,
            "definition": connection.model_dump(mode="json"),
            "internal_id": connection.internal_id,
            "provider_type": connection.provider_type.value,
            "status": connection.status.value,
            "created_at": connection.created_at,
        }
        this = _CONNECTION.connection_id == connection.connection_id
        try:
            with self._database.write() as tx:
                if credentials is not None:
                    owner = connection_secret(connection.connection_id, connection.internal_id)
                    values["credentials"] = self._sealed(tx, credentials, owner)
                stored = tx.execute(
                    sa.select(_CONNECTION.definition).where(this).with_for_update()
                ).scalar_one_or_none()
                if stored is None:
                    values["connection_id"] = connection.connection_id
                    tx.execute(sa.insert(schema.connections).values(values))
                else:
                    tx.execute(sa.update(schema.connections).where(this).values(values))
                    follow(tx, StorageConnection.model_validate(stored), connection, now=self._clock.now())
        except IntegrityError as error:
            raise Conflict(f"name: a connection named {connection.name} exists; choose another name.") from error

    def get_connection(self, id_or_name: str, *, within: Namespace | None = None) -> StorageConnection:
        """See ConfigStore.get_connection; an archived one is found by its id only."""
        with self._database.read() as tx:
            return _connection(tx, id_or_name, within)

    def credentials_of(self, connection_id: str) -> Mapping[str, Any]:
        """See ConfigStore.credentials_of."""
        this = _CONNECTION.connection_id == connection_id
        query = sa.select(_CONNECTION.credentials, _CONNECTION.internal_id).where(this)
        with self._database.read() as tx:
            row = tx.execute(query).one_or_none()
        if row is None or row.credentials is None:
            raise NotFound(f"connection {connection_id} does not exist or has no credentials.")
        owner = connection_secret(connection_id, row.internal_id)
        return self._cipher.decrypt(bytes(row.credentials), owner=owner)

    def list_connections(self, *, within: Namespace | None = None) -> Sequence[StorageConnection]:
        """See ConfigStore.list_connections."""
        # The id decides between organisations that use the same name.
        order = (_CONNECTION.name, _CONNECTION.connection_id)
        query = sa.select(_CONNECTION.definition).where(_CONNECTION.archived.is_(False)).order_by(*order)
        if within is not None:
            query = query.where(_CONNECTION.internal_id == within.internal_id)
        with self._database.read() as tx:
            definitions = tx.execute(query).scalars().all()
        return [StorageConnection.model_validate(definition) for definition in definitions]

    def delete_connection(self, connection_id: str) -> None:
        """See ConfigStore.delete_connection; its credentials are erased. Twice does nothing. Raises NotFound."""
        this = _CONNECTION.connection_id == connection_id
        with self._database.write() as tx:
            row = tx.execute(sa.select(_CONNECTION.definition).where(this).with_for_update()).one_or_none()
            if row is None:
                raise NotFound(f"connection {connection_id} does not exist.")
            using = sa.select(sa.func.count()).select_from(schema.syncs).where(_SYNC.connection_id == connection_id)
            if users := tx.execute(using).scalar_one():
                # Not which: they may be of a namespace that the caller does not see.
                what = "a sync" if users == 1 else f"{users} syncs"
                raise Conflict(f"connection {connection_id} is used by {what}; delete what uses it first.")
            status = TaskStatus.ARCHIVED.value
            definition = {**row.definition, "status": status}
            values = {"archived": True, "credentials": None, "definition": definition, "status": status}
            tx.execute(sa.update(schema.connections).where(this).values(values))


class Buckets(SecretKeepingPart):
    """The buckets of ConfigStore; how a hosted one is reached is kept as secret as credentials."""

    def save_bucket(self, bucket: BucketDefinition, *, within: Namespace = LOCAL_NAMESPACE) -> None:
        """See ConfigStore.save_bucket."""
        hosted = bucket.mixpeek
        owner = {"internal_id": within.internal_id, "namespace_id": within.namespace_id}
        values: dict[str, Any] = {
            "name": bucket.name,
            "definition": bucket.model_dump(mode="json", exclude={"mixpeek"}),
            "credentials": None,
        }
        this = _BUCKET.bucket_id == bucket.bucket_id
        try:
            with self._database.write() as tx:
                if hosted is not None:
                    secret = bucket_secret(bucket.bucket_id, within)
                    values["credentials"] = self._sealed(tx, reveal(hosted), secret)
                own = sa.and_(this, *_within(_BUCKET, within))
                if tx.execute(sa.update(schema.buckets).where(own).values(values)).rowcount == 0:
                    if tx.execute(sa.select(_BUCKET.bucket_id).where(this)).one_or_none() is not None:
                        raise Conflict(f"bucket_id: the id {bucket.bucket_id} is taken; choose another one.")
                    tx.execute(sa.insert(schema.buckets).values(bucket_id=bucket.bucket_id, **owner, **values))
        except IntegrityError as error:
            raise Conflict(f"name: a bucket named {bucket.name} exists; choose another name.") from error

    def get_bucket(self, id_or_name: str, *, within: Namespace | None = None) -> BucketDefinition:
        """See ConfigStore.get_bucket."""
        with self._database.read() as tx:
            for condition in sync_rows.lookups(_BUCKET.bucket_id, _BUCKET, id_or_name, within):
                row = tx.execute(sa.select(schema.buckets).where(condition)).one_or_none()
                if row is not None:
                    return self._bucket(row)
        raise NotFound(f"bucket {id_or_name} does not exist.")

    def list_buckets(self, *, within: Namespace | None = None) -> Sequence[BucketDefinition]:
        """See ConfigStore.list_buckets."""
        query = sa.select(schema.buckets).order_by(_BUCKET.bucket_id)
        with self._database.read() as tx:
            rows = tx.execute(query.where(*_within(_BUCKET, within))).all()
        return [self._bucket(row) for row in rows]

    def delete_empty_bucket(self, bucket_id: str) -> None:
        """See ConfigStore.delete_empty_bucket; removed objects and batches of the bucket stay until they are taken."""
        this = _BUCKET.bucket_id == bucket_id
        with self._database.write() as tx:
            if tx.execute(sa.select(_BUCKET.bucket_id).where(this).with_for_update()).one_or_none() is None:
                raise NotFound(f"bucket {bucket_id} does not exist.")
            for what, query in _USED:
                if tx.rows(query, bucket_id):
                    raise Conflict(f"bucket {bucket_id} has {what}; only an empty bucket can be deleted.")
            tx.execute(sa.delete(schema.buckets).where(this))

    def _bucket(self, row: sa.Row[Any]) -> BucketDefinition:
        values = dict(row.definition)
        if row.credentials is not None:
            owner = bucket_secret(row.bucket_id, Namespace(row.internal_id, row.namespace_id))
            values["mixpeek"] = self._cipher.decrypt(bytes(row.credentials), owner=owner)
        return BucketDefinition.model_validate(values)


class SyncDefinitions(StorePart):
    """The syncs of ConfigStore, and RunStore.load_sync."""

    def create_sync(self, sync: SyncConfiguration) -> None:
        """See ConfigStore.create_sync."""
        try:
            with self._database.write() as tx:
                bucket = sa.select(_BUCKET.bucket_id).where(_BUCKET.bucket_id == sync.bucket_id)
                if tx.execute(bucket).one_or_none() is None:
                    raise NotFound(f"bucket_id: bucket {sync.bucket_id} does not exist; create it first.")
                usable = (_CONNECTION.connection_id == sync.connection_id) & _CONNECTION.archived.is_(False)
                connection = sa.select(_CONNECTION.connection_id).where(usable).with_for_update()
                if tx.execute(connection).one_or_none() is None:
                    raise NotFound(f"connection_id: connection {sync.connection_id} does not exist; create it first.")
                tx.execute(sa.insert(schema.syncs).values(sync_rows.to_values(sync)))
        except IntegrityError as error:
            raise Conflict(f"name: a sync named {sync.name} exists; choose another name.") from error

    def update_sync(self, sync_config_id: str, changes: Mapping[str, Any]) -> SyncConfiguration:
        """See ConfigStore.update_sync. Raises NotFound, InvalidInput, and Conflict on a taken name."""
        for name in changes:
            if name in sync_rows.LIVE_FIELDS or name == "sync_config_id":
                raise InvalidInput.of(name, changes[name], "a configuration field; this one is set by runs")
        this = _SYNC.sync_config_id == sync_config_id
        try:
            with self._database.write() as tx:
                # Locked until the end, so that two updates at once both count.
                tx.execute(sa.select(_SYNC.sync_config_id).where(this).with_for_update())
                stored = sync_rows.one(tx, sync_config_id)
                moment = self._clock.now()
                whole = {**stored.model_dump(mode="json"), **changes, "updated_at": moment}
                changed = parse(SyncConfiguration, whole)
                values = {
                    "name": changed.name,
                    "bucket_id": changed.bucket_id,
                    "connection_id": changed.connection_id,
                    "config": sync_rows.config_of(changed),
                    "updated_at": moment,
                    # What is wanted of items that did not change may be another now: everything is listed once.
                    "feed_cursor": None,
                }
                tx.execute(sa.update(schema.syncs).where(this).values(values))
                # A pass that began under the old configuration would set the position again when it ends.
                tx.run(_LIST_AGAIN, sync_config_id)
                return changed
        except IntegrityError as error:
            raise Conflict(f"name: a sync named {changes.get('name')} exists; choose another name.") from error

    def delete_sync(self, sync_config_id: str) -> None:
        """See ConfigStore.delete_sync; batches that were not submitted become failed. Raises NotFound."""
        with self._database.write() as tx:
            if not tx.rows("SELECT 1 FROM syncs WHERE sync_config_id = ?", sync_config_id):
                raise NotFound(f"sync {sync_config_id} does not exist.")
            for statement in _FORGET_SYNC:
                tx.run(statement, sync_config_id)

    def get_sync(self, id_or_name: str, *, within: Namespace | None = None) -> SyncConfiguration:
        """See ConfigStore.get_sync; `batch_ids` and `task_ids` are those of the newest batches."""
        with self._database.read() as tx:
            return sync_rows.one(tx, id_or_name, within=within)

    def load_sync(self, sync_config_id: str) -> SyncConfiguration:
        """See RunStore.load_sync."""
        return self.get_sync(sync_config_id)

    def list_syncs(
        self, *, bucket_id: str | None = None, connection_id: str | None = None, within: Namespace | None = None
    ) -> Sequence[SyncConfiguration]:
        """See ConfigStore.list_syncs."""
        # The id decides between namespaces that use the same name.
        query = sync_rows.SELECT.where(*_within(_SYNC, within)).order_by(_SYNC.name, _SYNC.sync_config_id)
        if bucket_id is not None:
            query = query.where(_SYNC.bucket_id == bucket_id)
        if connection_id is not None:
            query = query.where(_SYNC.connection_id == connection_id)
        with self._database.read() as tx:
            return sync_rows.several(tx, query, with_batches=True)

    def numbered_sync_names(self, stem: str, *, within: Namespace) -> Collection[str]:
        """See ConfigStore.numbered_sync_names."""
        # A full stop follows the hyphen, so that these are bounds in an index.
        begins = (_SYNC.name >= f"{stem}-") & (_SYNC.name < f"{stem}.")
        inside = (_SYNC.internal_id == within.internal_id) & (_SYNC.namespace_id == within.namespace_id)
        with self._database.read() as tx:
            return set(tx.execute(sa.select(_SYNC.name).where(inside, (_SYNC.name == stem) | begins)).scalars())


def _connection(tx: Transaction, id_or_name: str, within: Namespace | None) -> StorageConnection:
    place = within or LOCAL_NAMESPACE
    of_organisation = _CONNECTION.internal_id == place.internal_id
    by_name = (_CONNECTION.name == id_or_name) & _CONNECTION.archived.is_(False) & of_organisation
    by_id = _CONNECTION.connection_id == id_or_name
    for condition in (by_id if within is None else by_id & of_organisation, by_name):
        row = tx.execute(sa.select(_CONNECTION.definition).where(condition)).one_or_none()
        if row is not None:
            return StorageConnection.model_validate(row.definition)
    raise NotFound(f"connection {id_or_name} does not exist.")


def _within(columns: Any, within: Namespace | None) -> list[sa.ColumnElement[bool]]:
    return [] if within is None else sync_rows.of_namespace(columns, within)
