"""Gives a home the inventory of a finished first sync without transferring anything; run as a module in that home.

It commits through the state store what a first run would have committed, under the ids and versions that our own
provider lists, so that the next run finds nothing to do.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mixsync_dagster.model.identifiers import object_id_for
from mixsync_dagster.model.items import items_of
from mixsync_dagster.model.objects import Draft, PutResult, PutStatus
from mixsync_dagster.model.progress import Commit, Counters, Outcome, RunRecord, Trigger
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster.ports.state import RunEnd
from mixsync_dagster.wiring import Services

SYNC_NAME = "benchmark"
RUN_ID = "run_prepared"


def main() -> None:
    """Fill the home that the environment names."""
    with Services.open() as services:
        sync = services.store.get_sync(SYNC_NAME)
        tools = services.tools_for(sync)
        started_at = datetime.now(UTC)
        lock = services.store.acquire(sync.sync_config_id, "preparation", RUN_ID, ttl_seconds=3600.0)
        record = RunRecord(
            sync_run_id=RUN_ID,
            sync_config_id=sync.sync_config_id,
            status="running",
            trigger=Trigger.MANUAL,
            started_at=started_at,
            completed_at=None,
            counters=Counters(),
            error=None,
        )
        services.store.start_run(lock, record)
        for page in tools.provider.list_pages():
            placed = []
            for item in items_of(page.items):
                object_id = object_id_for(sync.bucket_id, tools.provider_name, item.source_object_id)
                draft = Draft(object_id, sync.bucket_id, tools.provider_name, item, {}, ())
                placed.append(PutResult(draft, PutStatus.CREATED, object_id))
            counters = Counters(discovered=len(placed), created=len(placed))
            services.store.commit(lock, Commit(placed=placed, for_batches=False, counters=counters))
        end = RunEnd(
            outcome=Outcome.COMPLETED,
            error=None,
            error_class=None,
            status=TaskStatus.ACTIVE.value,
            is_active=True,
            next_sync_at=started_at + timedelta(days=1),
            successful=True,
        )
        services.store.finish_run(lock, end)
        tools.close()


if __name__ == "__main__":
    main()
