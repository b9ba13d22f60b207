"""Probing syncs whose listings take longer than a sensor's tick may."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from mixsync_dagster.control.dispatching import PROBE_THREADS, next_look_at
from mixsync_dagster.errors import NotFound
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.orchestration.resources import sentence
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.control import DispatchStore
from mixsync_dagster.ports.provider import Probe

logger = logging.getLogger(__name__)

PROBE_SECONDS = 600.0
"""Longest look at one sync; a run of it is the better look by then."""


class ProbedStore(DispatchStore, Protocol):
    """What probing needs of the store."""

    def load_sync(self, sync_config_id: str) -> SyncConfiguration:
        """Return the sync. Raises NotFound."""
        ...


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found."""

    changed: Sequence[str]
    """Ids of syncs to run, in the order of asking."""
    unchanged: int


def probe_at_length(
    store: ProbedStore,
    probe: Callable[[SyncConfiguration, float], Probe],
    clock: Clock,
    sync_config_ids: Sequence[str],
    seconds: float,
) -> Probed:
    """Probe each sync for at most `seconds`, set when the unchanged ones are due again, and return the others.

    What cannot be told in time, or raises, counts as changed: its run will report why. Syncs that are gone or paused
    by now are left out. Raises StoreUnavailable.
    """

    def look(sync_config_id: str) -> Probe | None:
        try:
            sync = store.load_sync(sync_config_id)
        except NotFound:
            return None
        if sync.paused or not sync.is_active:
            return None
        answer = _asked(probe, sync, seconds)
        if answer is Probe.NOTHING_NEW:
            store.postpone(sync_config_id, next_look_at(sync, clock.now()))
        return answer

    if not sync_config_ids:
        return Probed((), 0)
    with ThreadPoolExecutor(min(PROBE_THREADS, len(sync_config_ids)), thread_name_prefix="probe") as pool:
        answers = list(pool.map(look, sync_config_ids))
    changed = [
        one for one, answer in zip(sync_config_ids, answers, strict=True) if answer not in (None, Probe.NOTHING_NEW)
    ]
    return Probed(changed, answers.count(Probe.NOTHING_NEW))


def _asked(probe: Callable[[SyncConfiguration, float], Probe], sync: SyncConfiguration, seconds: float) -> Probe:
    try:
        return probe(sync, seconds)
    except Exception as error:  # noqa: BLE001 - one sync's trouble, of whatever kind, may not stop the others' probes
        logger.warning("sync %s could not be probed (%s); its run will report why", sync.name, sentence(error))
        return Probe.CHANGED
