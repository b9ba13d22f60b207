"""Tasks in the background of the service: how they end, and how often to ask."""

from __future__ import annotations

from mixsync_dagster.buckets.mixpeek.client import MixpeekClient
from mixsync_dagster.errors import ProviderUnavailable

TERMINAL = frozenset({"COMPLETED", "COMPLETED_WITH_ERRORS", "FAILED", "CANCELED"})
"""Statuses after which a task does not change."""

FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
_MOST_ASKED = 120


def wait_after(polls: int) -> float:
    """Return how long to wait after so many polls: 1 second, doubling to 30."""
    return min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** min(polls, 10))


def finished_task(client: MixpeekClient, task_id: str) -> str:
    """Return the status in which a task ended, asking until it has.

    Raises ProviderUnavailable when it takes an hour, Refusal when there is no such task, and as `MixpeekClient.call`.
    """
    for polls in range(_MOST_ASKED):
        status = str(client.task(task_id).body.get("status"))
        if status in TERMINAL:
            return status
        client.clock.sleep(wait_after(polls))
    raise ProviderUnavailable(f"{client.host} has not ended the confirmation of uploads for an hour.")
