"""Parts of the list of buckets, and how much they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.tenants import Namespace
from mixsync_dagster.ports.listing import Listed
from mixsync_dagster.state import schema
from mixsync_dagster.state.codec import escape
from mixsync_dagster.state.configuration import Buckets

_BUCKET = schema.buckets.c
_COUNTS = """
    SELECT bucket_id, count(*) FROM objects WHERE bucket_id IN (:list) AND state = 'active' GROUP BY bucket_id
"""


class BucketLists(Buckets):
    """The buckets of ListingStore, beside those of ConfigStore."""

    def list_buckets_part(
        self, within: Namespace, *, after: str | None, offset: int, limit: int
    ) -> Listed[BucketDefinition]:
        """See ListingStore.list_buckets_part."""
        mine = (_BUCKET.internal_id == within.internal_id) & (_BUCKET.namespace_id == within.namespace_id)
        query = sa.select(schema.buckets).where(mine)
        if after is not None:
            query = query.where(_BUCKET.bucket_id > after)
        with self._database.read() as tx:
            total = tx.execute(sa.select(sa.func.count()).select_from(schema.buckets).where(mine)).scalar_one()
            rows = tx.execute(query.order_by(_BUCKET.bucket_id).limit(limit + 1).offset(offset)).all()
        return Listed([self._bucket(row) for row in rows[:limit]], len(rows) > limit, int(total))

    def count_objects_of(self, bucket_ids: Sequence[str]) -> Mapping[str, int]:
        """See ListingStore.count_objects_of."""
        with self._database.read() as tx:
            found = dict(tx.rows(_COUNTS, [escape(bucket_id) for bucket_id in bucket_ids]))
        return {bucket_id: int(found.get(bucket_id, 0)) for bucket_id in bucket_ids}
