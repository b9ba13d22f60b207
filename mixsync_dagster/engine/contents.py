"""The bytes of a task: the item's own, and those that URLs among its values name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from mixsync_dagster.engine.attempts import Attempts
from mixsync_dagster.engine.context import SyncRun
from mixsync_dagster.engine.tasks import Task
from mixsync_dagster.errors import ItemError, ItemUnanswered, ProviderUnavailable
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.model.objects import Blob, StoredBlob

PROOFS = 10
"""Items that have to go through while another one is repeated, for that one to be blamed and not the provider."""


@dataclass(frozen=True, slots=True)
class Content:
    """What was stored for one task."""

    blobs: Sequence[Blob]
    size_bytes: int
    """Bytes that were transferred; one file may fill several blobs."""


class Contents:
    """Brings the bytes of tasks into the bucket; from many threads at once."""

    def __init__(self, run: SyncRun, attempts: Attempts) -> None:
        self._run = run
        self._attempts = attempts
        self._went_through = 0

    def bring(self, task: Task) -> Content:
        """Store the task's bytes and return its blobs.

        Raises ItemError, RateLimited or ProviderUnavailable when patience with the provider is exhausted.
        """
        mapping = self._run.mapping
        blobs: list[Blob] = []
        size_bytes = 0
        if mapping.blobs:
            stored = self._store(task.item)
            blobs += mapping.blobs_of(task.item, stored)
            size_bytes += stored.size_bytes
        for name, url in json.loads(task.links).items() if task.links else ():
            blob = self._linked(name, url)
            blobs.append(blob)
            size_bytes += blob.size_bytes
        return Content(blobs, size_bytes)

    def _store(self, item: SourceItem) -> StoredBlob:
        tools = self._run.tools
        seen: list[int] = []

        def attempt() -> StoredBlob:
            seen.append(self._went_through)
            stored = tools.bucket.store_blob(tools.provider.read(item))
            # From many threads: that one is not counted now and then does no harm.
            self._went_through += 1
            return stored

        try:
            return tools.pacer.call(attempt)
        except ProviderUnavailable as error:
            # Others went through after this one had failed already: it is the item, not the provider.
            others = self._went_through - seen[1] if len(seen) > 1 else 0
            if others >= PROOFS or self._attempts.ended_so_before(error):
                raise ItemUnanswered(f"{error} Other items were answered meanwhile.") from error
            raise

    def _linked(self, name: str, url: str) -> Blob:
        """Fetch and store what a URL names. Raises ItemError, which names the blob."""
        fetcher = self._run.fetcher
        try:
            answer = fetcher.fetch(url)
            stored = self._run.tools.bucket.store_blob(answer.chunks)
        except ItemError as error:
            error.args = (f"blob {name}: {error}",)
            raise
        return self._run.mapping.linked_blob(name, answer, stored)
