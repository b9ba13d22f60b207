"""Runs as the API's jobs, told of from the moment in which they are asked for."""

from __future__ import annotations

import re

from mixsync_dagster.control.tenancy import Tenant
from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster.model.syncs import SyncConfiguration

_HANDLE = re.compile(r"job_(\d{1,15})")
_LOOKS = 5


def next_job_id(sync: SyncConfiguration) -> str:
    """Return an id for the sync's next run, which has none of its own before it begins."""
    return f"job_{sync.sync_run_counter + 1}"


def has_begun(sync: SyncConfiguration, job_id: str) -> bool:
    """Return whether the run has begun that `next_job_id` gave this id for."""
    handle = _HANDLE.fullmatch(job_id)
    return handle is not None and sync.sync_run_counter >= int(handle[1])


def find_job(tenant: Tenant, sync: SyncConfiguration, job_id: str) -> RunRecord | None:
    """Return the run with this id, or for which `next_job_id` gave it; None for one that has not begun.

    Raises NotFound.
    """
    handle = _HANDLE.fullmatch(job_id)
    if handle is None:
        return tenant.run(sync, job_id)
    number = int(handle[1])
    for _ in range(_LOOKS):
        begun = sync.sync_run_counter
        if number == begun + 1:
            return None
        if not 1 <= number <= begun:
            break
        runs = tenant.store.list_runs(sync.sync_config_id, limit=begun - number + 1)
        sync = tenant.store.get_sync(sync.sync_config_id)
        # A run that began between the two looks has moved the others on by one.
        if sync.sync_run_counter == begun and len(runs) == begun - number + 1:
            return runs[-1]
    raise NotFound(f"there is no job {job_id} here.")
