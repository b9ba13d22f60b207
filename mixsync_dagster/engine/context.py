"""What a run works with, and the ticket by which its steps, in one process or in several, find back to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Self

from mixsync_dagster.engine.attributes import metadata_rules
from mixsync_dagster.engine.fields import ItemMapping
from mixsync_dagster.engine.verdicts import ItemFilter
from mixsync_dagster.engine.width import AdaptiveWidth
from mixsync_dagster.errors import ConfigurationError, LockLost, MixsyncError
from mixsync_dagster.model.filters import MetadataFilter
from mixsync_dagster.model.progress import Commit, Counters
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.bucket import Bucket
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.fetching import UrlFetcher
from mixsync_dagster.ports.pacing import Pacer
from mixsync_dagster.ports.provider import Provider
from mixsync_dagster.ports.reporting import Reporter, SilentReporter
from mixsync_dagster.ports.spans import SilentSpans, Spans
from mixsync_dagster.ports.state import RunStore, SyncLock

Checkpointed = Callable[[str], None]
"""Called with the name of each point at which a crash must do no harm; does nothing outside fault tests."""


def _nothing(_name: str) -> None:
    """Pass a named point."""


@dataclass(frozen=True, slots=True)
class RunLimits:
    """Bounds of a run; the sync's own settings lower them, never raise them."""

    lease_seconds: float = 60.0
    """How long the lock lives without renewal; it is renewed every third of it."""
    concurrency: int = 256
    """Most transfers at once."""
    inflight_bytes: int = 64 * 1024 * 1024
    """Most content bytes being transferred at once; one item larger than this goes alone."""
    commit_seconds: float = 2.0
    """A commit covers at most this much work."""
    removal_guard_percent: float = 20.0
    """A pass that would remove more than this share of the inventory pauses the sync instead."""
    removal_guard_floor: int = 10
    """Up to this many removals are never held back: a share of a handful means nothing."""
    full_pass_seconds: float = 24 * 60 * 60.0
    """Passes over a change feed are made for this long after everything was listed; then it is listed again."""


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The adapters that a run of one sync uses, chosen by the composition root."""

    store: RunStore
    provider: Provider
    provider_name: str
    """The source_provider of object identities; data, never a condition."""
    bucket: Bucket
    clock: Clock
    pacer: Pacer
    limits: RunLimits = field(default_factory=RunLimits)
    reporter: Reporter = field(default_factory=SilentReporter)
    passing: Checkpointed = _nothing
    fetcher: UrlFetcher | None = None
    """None: what URLs name is not fetched."""
    spans: Spans = field(default_factory=SilentSpans)

    def close(self) -> None:
        """Free the provider's, the fetcher's and the bucket's connections; the store is shared and stays open."""
        self.provider.close()
        if self.fetcher is not None:
            self.fetcher.close()
        self.bucket.close()


@dataclass(frozen=True, slots=True)
class RunTicket:
    """Everything that a later step needs to go on with a run; plain JSON values."""

    sync_config_id: str
    sync_run_id: str
    worker_id: str
    generation: int
    started_at: str
    pass_number: int
    kind: str
    cursor: str | None
    """Where the listing goes on; None at the start of a pass."""
    suspects: int = 0
    """How many items were under way when the worker of the run before died; one of them may be the reason."""

    def as_dict(self) -> dict[str, Any]:
        """Return the ticket as plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RunTicket:
        """Return the ticket whose `as_dict()` this is."""
        return cls(**data)


class LockKeeper:
    """Renews a run's lock from a thread of its own and tells when it is lost."""

    def __init__(self, tools: Toolbox, lock: SyncLock) -> None:
        self._tools = tools
        self._lock = lock
        self._stop = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lock-{lock.sync_config_id}", daemon=True)

    @property
    def lock(self) -> SyncLock:
        """The lock as last renewed."""
        return self._lock

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def ensure_held(self) -> None:
        """Return while the lock is ours. Raises LockLost."""
        if self._lost.is_set():
            raise LockLost(
                f"sync {self._lock.sync_config_id}: another worker took over; this run stops and writes nothing more."
            )

    def _renew(self) -> None:
        # A failed renewal is tried again until the fence decides: an expired lock that nobody took is still ours.
        ttl_seconds = self._tools.limits.lease_seconds
        while not self._stop.wait(ttl_seconds / 3):
            try:
                self._lock = self._tools.store.renew(self._lock, ttl_seconds=ttl_seconds)
            except LockLost:
                self._lost.set()
                return
            except MixsyncError:
                continue


@dataclass(frozen=True)
class SyncView:
    """A sync and the tools to look at its source; enough for listing, filtering and planning, which write nothing."""

    tools: Toolbox
    sync: SyncConfiguration

    @cached_property
    def filters(self) -> ItemFilter:
        """The sync's file filters, compiled."""
        return ItemFilter.of(self.sync, self.tools.provider.root)

    @cached_property
    def mapping(self) -> ItemMapping:
        """The sync's schema mapping, compiled. Raises ConfigurationError when it asks for what is not offered."""
        mapping = ItemMapping.of(self.sync, self.tools.provider_name, self.tools.provider.capabilities)
        if mapping.linked and self.tools.fetcher is None:
            raise ConfigurationError(
                f"schema_mapping: the URLs of the blob {next(iter(mapping.linked))} are not fetched here; let an "
                "administrator list their hosts in MIXSYNC_FETCH_HOSTS, or map the column as a field."
            )
        return mapping

    @property
    def fetcher(self) -> UrlFetcher:
        """What fetches the URLs of the mapping's blobs. Raises ConfigurationError when nothing does."""
        if self.tools.fetcher is None:
            raise ConfigurationError("MIXSYNC_FETCH_HOSTS lists no host; what URLs name is not fetched.")
        return self.tools.fetcher

    @cached_property
    def metadata_filters(self) -> Sequence[MetadataFilter]:
        """The filters on attribute values; empty when the sync has none."""
        return (self.sync.file_filters.metadata_filters if self.sync.file_filters else None) or ()

    @cached_property
    def metadata_rules(self) -> str:
        """The digest under which refusals by the filters on attribute values are remembered."""
        return metadata_rules(self.metadata_filters, self.attribute_kinds)

    @cached_property
    def attribute_kinds(self) -> frozenset[str]:
        """Kinds of attributes to read for each planned item; a metadata filter may name a field of any kind."""
        if self.metadata_filters:
            return self.tools.provider.capabilities.attribute_kinds
        return self.mapping.attribute_kinds


@dataclass(frozen=True)
class SyncRun(SyncView):
    """A run that is under way in this process: a view that may also write, as long as its lock is held."""

    ticket: RunTicket
    keeper: LockKeeper

    @cached_property
    def width(self) -> AdaptiveWidth:
        """How many transfers to make at once, learned over the run's shards."""
        most = self.tools.limits.concurrency
        return AdaptiveWidth(min(self.sync.sync_concurrency or most, most))

    @property
    def lock(self) -> SyncLock:
        """The lock for the next write. Raises LockLost when it is known to be gone."""
        self.keeper.ensure_held()
        return self.keeper.lock

    def passing(self, point: str) -> None:
        """Pass a named point at which a crash must do no harm."""
        self.tools.passing(point)

    def count_rate_limits(self) -> None:
        """Add to the run how often the provider said slow down in this process since this was called last.

        Raises LockLost, StoreUnavailable.
        """
        hits = self.tools.pacer.take_rate_limit_hits()
        if hits:
            self.tools.store.commit(self.lock, Commit(counters=Counters(rate_limit_hits=hits)))


@contextmanager
def attached(tools: Toolbox, ticket: RunTicket) -> Iterator[SyncRun]:
    """Give the run that a ticket stands for, with its lock renewed meanwhile. Raises LockLost when it is over.

    Rate limits that were met in the block are counted at its end, whatever that is.
    """
    lock = SyncLock(
        sync_config_id=ticket.sync_config_id,
        worker_id=ticket.worker_id,
        sync_run_id=ticket.sync_run_id,
        generation=ticket.generation,
        expires_at=datetime.fromisoformat(ticket.started_at),
    )
    lock = tools.store.renew(lock, ttl_seconds=tools.limits.lease_seconds)
    sync = tools.store.load_sync(ticket.sync_config_id)
    with LockKeeper(tools, lock) as keeper:
        run = SyncRun(tools=tools, sync=sync, ticket=ticket, keeper=keeper)
        try:
            yield run
        finally:
            # A number is not worth a run: whoever writes next finds out that the lock or the store is gone.
            with suppress(MixsyncError):
                run.count_rate_limits()
