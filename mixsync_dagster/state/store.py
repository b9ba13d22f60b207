"""The state store: one adapter for every port that reads or writes state."""

from __future__ import annotations

from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.state.analytics import Analytics
from mixsync_dagster.state.audit import Audit
from mixsync_dagster.state.batches import Batches
from mixsync_dagster.state.bucket_lists import BucketLists
from mixsync_dagster.state.catalog import CatalogReads
from mixsync_dagster.state.collection import Collection
from mixsync_dagster.state.commits import Commits
from mixsync_dagster.state.configuration import Connections, SyncDefinitions
from mixsync_dagster.state.connection_use import ConnectionUse
from mixsync_dagster.state.database import Database
from mixsync_dagster.state.dead_letters import DeadLetters
from mixsync_dagster.state.dispatch import Control, Dispatching
from mixsync_dagster.state.health import Health
from mixsync_dagster.state.hosted import Hosted
from mixsync_dagster.state.idempotency import Idempotency
from mixsync_dagster.state.inventory import InventoryReads
from mixsync_dagster.state.leases import Leases
from mixsync_dagster.state.limits import Limits
from mixsync_dagster.state.listing import Listing
from mixsync_dagster.state.migrate import check_version
from mixsync_dagster.state.progress import Progress
from mixsync_dagster.state.reaping import Reaping
from mixsync_dagster.state.refusals import Refusals
from mixsync_dagster.state.runs import Runs
from mixsync_dagster.state.sealing import KeySource, Sealing
from mixsync_dagster.state.tenants import Keys
from mixsync_dagster.state.tracing import Tracing
from mixsync_dagster.state.verification import Verification


class SqlStateStore(
    Connections,
    ConnectionUse,
    BucketLists,
    SyncDefinitions,
    Leases,
    Limits,
    InventoryReads,
    Refusals,
    Progress,
    Commits,
    DeadLetters,
    Batches,
    Runs,
    Reaping,
    Health,
    CatalogReads,
    Hosted,
    Listing,
    Idempotency,
    Control,
    Dispatching,
    Tracing,
    Analytics,
    Verification,
    Collection,
    Keys,
    Sealing,
    Audit,
):
    """Every store of the ports, on SQLite or PostgreSQL.

    Those are `state`, `control`, `listing`, `idempotency`, `tracing`, `analytics`, `upkeep`, `pacing` and
    `tenants`. Every method may be called from many threads at once. Repeats and errors are as the ports say.
    """

    @classmethod
    def open(cls, url: str, *, clock: Clock, key: bytes | KeySource) -> SqlStateStore:
        """Return the store at this URL, whose tables `migrate.upgrade` has made.

        `key` are the 32 bytes that credentials are encrypted with, or what gives the keys as they are now. Raises
        ConfigurationError for a URL or key that is not accepted and for tables that are absent or of another revision,
        and StoreUnavailable.
        """
        database = Database.open(url, clock=clock)
        try:
            check_version(database)
            return cls(database, key)
        except BaseException:
            database.close()
            raise

    def close(self) -> None:
        """Free the connections. Twice is harmless."""
        self._database.close()
