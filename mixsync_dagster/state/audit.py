"""The record of who changed what."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from mixsync_dagster.model.tenants import Namespace
from mixsync_dagster.ports.audit import AuditEntry
from mixsync_dagster.state import schema, sync_rows
from mixsync_dagster.state.leases import StorePart

_ENTRY = schema.audit.c


class Audit(StorePart):
    """The AuditStore."""

    def add_entry(self, entry: AuditEntry) -> None:
        """See AuditStore.add_entry."""
        values = {name: getattr(entry, name) for name in AuditEntry.__dataclass_fields__}
        with self._database.write() as tx:
            tx.execute(sa.insert(schema.audit).values(values))

    def list_entries(
        self, *, within: Namespace | None = None, since: datetime | None = None, limit: int
    ) -> Sequence[AuditEntry]:
        """See AuditStore.list_entries."""
        query = sa.select(schema.audit).order_by(_ENTRY.at.desc(), _ENTRY.entry_id.desc()).limit(limit)
        if within is not None:
            query = query.where(*sync_rows.of_namespace(_ENTRY, within))
        if since is not None:
            query = query.where(_ENTRY.at >= since)
        with self._database.read() as tx:
            return [AuditEntry(**row._asdict()) for row in tx.execute(query).all()]

    def forget_entries(self, *, before: datetime) -> int:
        """See AuditStore.forget_entries."""
        with self._database.write() as tx:
            return tx.execute(sa.delete(schema.audit).where(_ENTRY.at < before)).rowcount
