"""Stand-ins for a source and a bucket that cannot be opened: the reason is raised where they would have been used.

So a run whose credentials are gone begins, fails and is counted like any other, and five of them pause the sync.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, NoReturn

from mixsync_dagster.engine.context import RunLimits, Toolbox
from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.ports.provider import Capabilities

if TYPE_CHECKING:
    from mixsync_dagster.model.items import SourceItem
    from mixsync_dagster.model.objects import BatchMember, Draft, StoredBlob
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.ports.provider import Cursor, Page
    from mixsync_dagster.wiring import Services


class _Refusing:
    def __init__(self, error: ConfigurationError) -> None:
        self._error = error

    def _refuse(self) -> NoReturn:
        raise self._error

    def close(self) -> None:
        """Do nothing."""


class UnopenedProvider(_Refusing):
    """A Provider that raises the reason why there is none."""

    @property
    def capabilities(self) -> Capabilities:
        """Return that nothing can be done."""
        return Capabilities(ordered_listing=False)

    @property
    def root(self) -> str:
        """Raise the reason."""
        self._refuse()

    def check(self) -> None:
        """Raise the reason."""
        self._refuse()

    def list_pages(self, after: Cursor | None = None, *, hints: Sequence[str] = ()) -> Iterator[Page]:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()

    def read(self, item: SourceItem) -> Iterator[bytes]:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()


class UnopenedBucket(_Refusing):
    """A Bucket that raises the reason why there is none."""

    @property
    def units_at_once(self) -> int:
        """One."""
        return 1

    @property
    def full(self) -> bool:
        """Never."""
        return False

    @property
    def elsewhere(self) -> bool:
        """No."""
        return False

    def settle(self, object_ids: Sequence[str]) -> NoReturn:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()

    def store_blob(self, chunks: Iterable[bytes]) -> StoredBlob:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()

    def put_objects(self, drafts: Sequence[Draft], *, skip_duplicates: bool) -> NoReturn:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()

    def update_objects(self, drafts: Sequence[Draft]) -> NoReturn:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()

    def make_durable(self) -> None:
        """Raise the reason."""
        self._refuse()

    def find_objects(self, object_ids: Sequence[str]) -> NoReturn:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()

    def delete_objects(self, object_ids: Sequence[str]) -> None:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()

    def submit_batch(self, batch_id: str, members: Iterable[BatchMember], *, idempotency_key: str) -> NoReturn:  # noqa: ARG002 - the protocol's
        """Raise the reason."""
        self._refuse()


def tools_that_refuse(services: Services, sync: SyncConfiguration, error: ConfigurationError) -> Toolbox:
    """Return a run's tools that raise the error as soon as the source or the bucket is used."""
    from mixsync_dagster.transport.retry import Retrier

    return Toolbox(
        store=services.store,
        provider=UnopenedProvider(error),
        provider_name=sync.source_type.value if sync.source_type else "",
        bucket=UnopenedBucket(error),
        clock=services.clock,
        pacer=Retrier(services.clock),
        limits=RunLimits(lease_seconds=services.settings.lease_seconds),
    )
