"""The composition root: which adapters run. Adapters are imported when they are first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, Self, cast

from mixsync_dagster.destinations import limits_of
from mixsync_dagster.engine.context import Toolbox
from mixsync_dagster.errors import ConfigurationError, MixsyncError
from mixsync_dagster.home import locked, make_home, read_keys
from mixsync_dagster.model.buckets import Destination
from mixsync_dagster.model.connections import full_config
from mixsync_dagster.model.credentials import resolve
from mixsync_dagster.model.provider_configs import ProviderConfig, ProviderType
from mixsync_dagster.model.provider_kinds import KINDS
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.fetching import UrlFetcher
from mixsync_dagster.ports.provider import Probe, Provider
from mixsync_dagster.ports.reporting import Reporter, SilentReporter
from mixsync_dagster.reaching import addresses_for, check_reach
from mixsync_dagster.settings import Settings, environment_value, trust_by_environment
from mixsync_dagster.telemetry import spans_for
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster.transport.fetch_hosts import FetchHosts
from mixsync_dagster.transport.quiet import SharedQuiet
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying

if TYPE_CHECKING:
    import pandas as pd

    from mixsync_dagster.buckets.blobs import BlobStore
    from mixsync_dagster.buckets.embedded import EmbeddedBucket
    from mixsync_dagster.buckets.manifest import Manifests
    from mixsync_dagster.buckets.mixpeek.bucket import MixpeekBucket
    from mixsync_dagster.control.definitions import Offered
    from mixsync_dagster.control.keys import KeyRing
    from mixsync_dagster.model.connections import StorageConnection
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.state.store import SqlStateStore

PROVIDERS: Mapping[ProviderType, str] = MappingProxyType({one: kind.factory for one, kind in KINDS.items()})
"""The module that makes the provider of each type that is offered."""

DESTINATIONS = frozenset({Destination.EMBEDDED, Destination.MIXPEEK})
"""The destinations that are offered."""


class _Factory(Protocol):
    def from_connection(
        self,
        config: ProviderConfig,
        source_path: str,
        *,
        provider_filters: Mapping[str, Any] | None,
        ca_bundle: Path | None,
        addresses: AddressPolicy | None,
        connection_id: str | None,
    ) -> Provider:
        """Return the provider of one source path."""
        ...


class Services:
    """The settings, the state store and the clock of one process, and the adapters made from them."""

    def __init__(self, settings: Settings, store: SqlStateStore, clock: Clock) -> None:
        self.settings = settings
        self.store = store
        self.clock = clock

    @classmethod
    def open(cls, settings: Settings | None = None, *, clock: Clock | None = None) -> Services:
        """Return the services on an initialised state store; a context manager that closes them.

        Raises ConfigurationError when `mixsync init` has not been run, or not since an upgrade; StoreUnavailable.
        """
        from mixsync_dagster.state.store import SqlStateStore

        settings = settings or Settings.load()
        clock = clock or SystemClock()
        keys = partial(read_keys, settings)
        # A home that is not there is told before a database that is not.
        keys()
        return cls(settings, SqlStateStore.open(settings.database_url, clock=clock, key=keys), clock)

    @staticmethod
    def init(settings: Settings) -> None:
        """Create or upgrade the home folder, the key file and the state store.

        Repeats change nothing; a second process waits for the first. Raises ConfigurationError, StoreUnavailable.
        """
        from mixsync_dagster.state.cipher import load_or_create_key, pepper_of
        from mixsync_dagster.state.database import Database
        from mixsync_dagster.state.migrate import upgrade
        from mixsync_dagster.state.sealing import Sealing

        make_home(settings.home)
        with locked(settings.home):
            load_or_create_key(settings.home, settings.secret_key)
            database = Database.open(settings.database_url, clock=SystemClock())
            try:
                upgrade(database)
                # Kept from now on: digests of API keys must not change with the secret key.
                Sealing(database, partial(read_keys, settings)).keep_pepper(pepper_of(read_keys(settings).first))
            finally:
                database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the state store. Twice is harmless."""
        self.store.close()

    def tools_for(
        self,
        sync: SyncConfiguration,
        *,
        reporter: Reporter | None = None,
        approve_removals: bool = False,
        patient: bool = True,
    ) -> Toolbox:
        """Return what a run of the sync works with; the caller closes it.

        `approve_removals` lifts the guard against removing much at once. Without `patient` nothing is repeated after
        an outage, and nothing waits, as suits a quick look. Raises NotFound, ConfigurationError.
        """
        connection = self.store.get_connection(sync.connection_id)
        pacer = self.pacer_of(connection.connection_id, patient=patient)
        provider = self.provider_of(connection, sync.source_path, sync.provider_filters)
        return Toolbox(
            store=self.store,
            provider=retrying(provider, pacer, _renewer(self, connection, sync)),
            provider_name=connection.provider_type.value,
            bucket=self.bucket_for(sync.bucket_id, sync=sync, patient=patient),
            clock=self.clock,
            pacer=pacer,
            limits=limits_of(self, sync, approve_removals=approve_removals),
            reporter=reporter or SilentReporter(),
            fetcher=self._fetcher(connection.internal_id),
            spans=spans_for(self.settings),
        )

    def provider_for(
        self, connection_id: str, source_path: str, *, provider_filters: Mapping[str, Any] | None = None
    ) -> Provider:
        """Return the provider of a source path, which repeats nothing; the caller closes it.

        Takes a connection's id or name. Raises NotFound, InvalidInput, ConfigurationError.
        """
        return self.provider_of(self.store.get_connection(connection_id), source_path, provider_filters)

    def check_source(
        self,
        config: ProviderConfig,
        source_path: str,
        *,
        provider_filters: Mapping[str, Any] | None = None,
        internal_id: str = LOCAL_NAMESPACE.internal_id,
    ) -> None:
        """Return if a source path can be listed with a config whose credentials hold values, by an organisation.

        Raises what `Provider.check` raises; ProviderUnavailable after MIXSYNC_CHECK_SECONDS without an answer.
        """
        from mixsync_dagster.control.checking import answer_in_time

        def check() -> None:
            # Inside, for it looks names up, which may take as long as it likes.
            provider = self._provider_of(config, internal_id, source_path, provider_filters)
            try:
                provider.check()
            finally:
                provider.close()

        answer_in_time(check, self.settings.check_seconds)

    def bucket_for(
        self, bucket_id: str, *, sync: SyncConfiguration | None = None, patient: bool = True
    ) -> EmbeddedBucket | MixpeekBucket:
        """Return the bucket, by id or name, for the runs of a sync or for reading; the caller closes it.

        A hosted one sends nothing until it is used, and takes no byte that the sync's mapping has no place for there.
        Raises NotFound, ConfigurationError.
        """
        from mixsync_dagster.destinations import open_bucket

        return open_bucket(self, bucket_id, sync=sync, patient=patient)

    def open_blobs(self) -> BlobStore:
        """Return the store of all embedded buckets' bytes; the caller closes it. Raises StoreUnavailable."""
        from mixsync_dagster.buckets.blobs import open_blob_store

        return open_blob_store(self.settings.blob_url or self.settings.blobs_dir)

    def open_manifests(self) -> Manifests:
        """Return the manifests of all submitted batches. Raises StoreUnavailable."""
        from mixsync_dagster.buckets.manifest import open_manifests

        return open_manifests(self.settings.manifests_dir)

    def open_keys(self) -> KeyRing:
        """Return the API keys of the state store. Raises ConfigurationError."""
        from mixsync_dagster.control.keys import KeyRing

        return KeyRing(self.store, pepper=self.store.pepper(), clock=self.clock)

    def load_objects(self, bucket: str, *, sync: str | None = None) -> pd.DataFrame:
        """Return the active objects of a bucket (of one sync when asked; both by id or name) as a pandas DataFrame.

        Raises NotFound.
        """
        from mixsync_dagster.buckets.objects_frame import load_objects as load

        bucket_id = self.store.get_bucket(bucket).bucket_id
        sync_config_id = None if sync is None else self.store.get_sync(sync).sync_config_id
        blobs = self.open_blobs()
        try:
            return load(self.store, bucket_id, sync_config_id=sync_config_id, location=blobs.location)
        finally:
            blobs.close()

    def probe(self, sync: SyncConfiguration, deadline_seconds: float) -> Probe:
        """Return whether a run of the sync would find work; raises what the provider raises, repeating nothing."""
        from mixsync_dagster.engine.probing import probe_sync

        tools = self.tools_for(sync, patient=False)
        try:
            return probe_sync(tools, sync, deadline_seconds=deadline_seconds)
        finally:
            tools.close()

    def provider_of(
        self, connection: StorageConnection, source_path: str, provider_filters: Mapping[str, Any] | None
    ) -> Provider:
        """Return the provider of a connection as given, with the credentials that the store has now."""
        config = self.usable_config(connection)
        return self._provider_of(
            config, connection.internal_id, source_path, provider_filters, connection_id=connection.connection_id
        )

    def _provider_of(
        self,
        config: ProviderConfig,
        internal_id: str,
        source_path: str,
        filters: Mapping[str, Any] | None,
        *,
        connection_id: str | None = None,
    ) -> Provider:
        settings = self.settings
        check_reach(config, settings, internal_id)
        if settings.ca_bundle is not None and KINDS[ProviderType(config.provider_type)].trusts_by_environment:
            trust_by_environment(settings.ca_bundle)
        return _factory_of(ProviderType(config.provider_type)).from_connection(
            config,
            source_path,
            provider_filters=filters,
            ca_bundle=settings.ca_bundle,
            addresses=addresses_for(settings, internal_id),
            connection_id=connection_id,
        )

    def usable_config(self, connection: StorageConnection) -> ProviderConfig:
        """Return what `connection_config` does. Raises ConfigurationError also for a connection that may not be used.

        That is one whose provider is not offered, or that is not ACTIVE.
        """
        if connection.provider_type not in PROVIDERS:
            raise ConfigurationError(not_offered(connection.name, connection.provider_type))
        if not connection.is_active:
            raise ConfigurationError(
                f"connection {connection.name} is {connection.status} and may not be used; activate it first."
            )
        return self.connection_config(connection)

    def connection_config(self, connection: StorageConnection) -> ProviderConfig:
        """Return settings and credentials with every reference resolved. Raises ConfigurationError naming the field."""
        config = full_config(connection, self.store.credentials_of(connection.connection_id))
        try:
            resolved = resolve(config.credentials, environment_value)
        except ConfigurationError as error:
            raise ConfigurationError(f"connection {connection.name}: {error}") from None
        return config.model_copy(update={"credentials": resolved})

    def _fetcher(self, internal_id: str) -> UrlFetcher | None:
        """Return what fetches URLs in an organisation's columns, or None when no host is listed for it."""
        settings = self.settings
        if not settings.fetch_hosts:
            return None
        from mixsync_dagster.transport.guarded import FetchRules, GuardedFetcher

        rules = FetchRules(
            hosts=FetchHosts.of(settings.fetch_hosts),
            # Rows are strangers to the organisation of this machine, too: it has no way of its own here.
            addresses=addresses_for(settings, internal_id) or AddressPolicy.of(settings.allowed_addresses),
            ca_bundle=settings.ca_bundle,
            most_bytes=settings.fetch_bytes,
            most_seconds=settings.fetch_seconds,
        )
        return GuardedFetcher(rules)

    def pacer_of(self, connection_id: str, *, patient: bool = True) -> Retrier:
        """Return what repeats the calls of a connection, and of a hosted bucket, whose name there is `bucket:<id>`."""
        shared = SharedQuiet(self.store, connection_id, self.clock)
        if patient:
            return Retrier(self.clock, shared=shared)
        return Retrier(
            self.clock, shared=shared, outage_attempts=1, rate_limit_attempts=1, longest_retry_after_seconds=0.0
        )


def _renewer(
    services: Services, connection: StorageConnection, sync: SyncConfiguration
) -> Callable[[], Provider | None]:
    """Return what opens a run's provider with the credentials that replaced those it began with, if some did.

    The sync stays as the run began with it, and so does the connection but for its credentials. None as well where it
    cannot be used any more: what its service said is then the error.
    """
    store, connection_id = services.store, connection.connection_id
    known = [store.credentials_of(connection_id)]

    def renewed() -> Provider | None:
        try:
            now = store.credentials_of(connection_id)
            if now == known[-1] or not store.get_connection(connection_id).is_active:
                return None
            known.append(now)
            return services.provider_of(connection, sync.source_path, sync.provider_filters)
        except MixsyncError:
            return None

    return renewed


def _factory_of(provider_type: ProviderType) -> _Factory:
    """Return what makes the providers of a type. Raises ConfigurationError when its library is not installed."""
    library, extra = KINDS[provider_type].library or ("", "")
    if library and not _installed(library):
        raise ConfigurationError(
            f"the provider {provider_type} needs the library {library}, which is not installed; "
            f"install it by `pip install 'mixsync-dagster[{extra}]'`."
        )
    return cast("_Factory", import_module(PROVIDERS[provider_type]))


def _installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:
        # A package above it is missing.
        return False


def offered() -> Offered:
    """Return what there are adapters for."""
    from mixsync_dagster.control.definitions import Offered

    return Offered(frozenset(PROVIDERS), DESTINATIONS)


def load_objects(bucket: str, *, sync: str | None = None) -> pd.DataFrame:
    """Return a bucket's objects from the state store that the environment names; see `Services.load_objects`."""
    with Services.open() as services:
        return services.load_objects(bucket, sync=sync)


def not_offered(connection: str, provider_type: str) -> str:
    """Return the sentence for a provider that the model knows and no adapter serves."""
    offered = ", ".join(sorted(PROVIDERS))
    return f"connection {connection}: the provider {provider_type} is not offered yet; the providers are {offered}."
