"""Resources: the state store with everything made from it, and connections for users' own assets."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagster import ConfigurableResource, InitResourceContext
from pydantic import Field, PrivateAttr

from mixsync_dagster.errors import ConfigurationError, MixsyncError
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.orchestration.unopened import tools_that_refuse
from mixsync_dagster.settings import Settings

if TYPE_CHECKING:
    import pandas as pd
    from dagster_aws.s3 import S3Resource

    from mixsync_dagster.engine.context import Toolbox
    from mixsync_dagster.model.connections import StorageConnection
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.orchestration.parquet_io import Spool
    from mixsync_dagster.ports.state import SyncLock
    from mixsync_dagster.state.store import SqlStateStore
    from mixsync_dagster.wiring import Services


class MixsyncServices(ConfigurableResource[Any]):
    """The state store, and the buckets and providers of the syncs that it holds. Opened at first use."""

    home: str | None = Field(
        default=None, description="Folder of the state store, the blobs and the key. None: the setting MIXSYNC_HOME."
    )
    database_url: str | None = Field(
        default=None,
        description="URL of the state store. None: the setting MIXSYNC_DATABASE_URL, else SQLite in the home folder. "
        "Shown in the UI, so give a URL with a password as `EnvVar`, or by the setting.",
    )

    _services: Any = PrivateAttr(default=None)
    _tools: dict[str, Any] = PrivateAttr(default_factory=dict)
    _keepers: dict[str, Any] = PrivateAttr(default_factory=dict)

    @contextlib.contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator[MixsyncServices]:
        """Give the resource to a run or a tick and close afterwards what it opened."""
        del context
        try:
            yield self
        finally:
            self.close()

    def settings(self) -> Settings:
        """Return the settings, with this resource's fields in place of theirs. Raises InvalidInput."""
        settings = Settings.load()
        if self.home is not None:
            home = Path(self.home).expanduser().absolute()
            own = settings.database_url == f"sqlite:///{settings.home / 'state.db'}"
            url = f"sqlite:///{home / 'state.db'}" if own else settings.database_url
            settings = replace(settings, home=home, database_url=url)
        return settings if self.database_url is None else replace(settings, database_url=self.database_url)

    @property
    def services(self) -> Services:
        """The adapters of this process. Raises ConfigurationError when `mixsync init` was not run, StoreUnavailable."""
        if self._services is None:
            from mixsync_dagster.wiring import Services

            self._services = Services.open(self.settings())
        opened: Services = self._services
        return opened

    @property
    def store(self) -> SqlStateStore:
        """The state store. Raises as `services`."""
        return self.services.store

    def tools(self, sync: SyncConfiguration) -> Toolbox:
        """Return what a run of the sync works with; the same for every step in this process.

        A source or bucket that cannot be opened gives tools that raise the reason when they are used, so that the run
        records it. Raises StoreUnavailable.
        """
        made = self._tools.get(sync.sync_config_id)
        if made is None:
            try:
                made = self.services.tools_for(sync)
            except ConfigurationError as error:
                made = tools_that_refuse(self.services, sync, error)
            self._tools[sync.sync_config_id] = made
        tools: Toolbox = made
        return tools

    def renew_meanwhile(self, tools: Toolbox, lock: SyncLock) -> None:
        """Renew a run's lock until `stop_renewing`, or until it is given back."""
        from mixsync_dagster.engine.context import LockKeeper

        self.stop_renewing(lock.sync_config_id)
        keeper = self._keepers[lock.sync_config_id] = contextlib.ExitStack()
        keeper.enter_context(LockKeeper(tools, lock))

    def stop_renewing(self, sync_config_id: str) -> None:
        """Leave the sync's lock to its next step, or to its time. Twice is harmless."""
        keeper = self._keepers.pop(sync_config_id, None)
        if keeper is not None:
            keeper.close()

    def spool(self) -> Spool:
        """Return where the steps of a run hand tables on. Raises ConfigurationError."""
        from mixsync_dagster.orchestration.parquet_io import Spool

        settings = self.settings()
        return Spool(settings.spool_url or settings.spool_dir.as_uri())

    def load_objects(self, bucket: str, *, sync: str | None = None) -> pd.DataFrame:
        """Return the active objects of a bucket (of one sync when asked; both by id or name) as a pandas DataFrame.

        Raises NotFound.
        """
        return self.services.load_objects(bucket, sync=sync)

    def close(self) -> None:
        """Free what was opened. Twice is harmless."""
        for sync_config_id in list(self._keepers):
            self.stop_renewing(sync_config_id)
        tools, self._tools = self._tools, {}
        for one in tools.values():
            one.close()
        services, self._services = self._services, None
        if services is not None:
            services.close()


class S3ConnectionResource(ConfigurableResource[Any]):
    """A stored connection to S3 or a compatible service, for assets and ops of your own."""

    mixsync: MixsyncServices
    connection: str | None = Field(
        default=None, description="Id or name of the connection. None: the only one of the provider."
    )
    provider: str = Field(default="s3", description="Which connections are meant: s3 or tigris.")

    def stored(self) -> StorageConnection:
        """Return the connection, without credentials. Raises NotFound, ConfigurationError when several fit."""
        store = self.mixsync.store
        if self.connection is not None:
            return store.get_connection(self.connection)
        own = store.list_connections(within=LOCAL_NAMESPACE)
        found = [one for one in own if one.provider_type == ProviderType(self.provider)]
        if len(found) != 1:
            names = ", ".join(one.name for one in found) or "none"
            raise ConfigurationError(
                f"connection: there are {len(found)} connections of provider {self.provider} ({names}); "
                "give the id or name of one."
            )
        return found[0]

    def s3_resource(self) -> S3Resource:
        """Return Dagster's own S3 resource with this connection's endpoint and credentials.

        Raises as `stored`, and ConfigurationError for a connection that assumes a role.
        """
        # Over a second, and the AWS library behind it; only a user's own asset ever needs it.
        from dagster_aws.s3 import S3Resource

        stored = self.stored()
        config: Any = self.mixsync.services.connection_config(stored)
        credentials = config.credentials
        if credentials.type != "access_key":
            raise ConfigurationError(
                f"connection {stored.name}: its credentials are of type {credentials.type}; "
                "a resource of its own takes access_key."
            )
        given = {
            "region_name": config.region,
            "endpoint_url": config.endpoint_url,
            "use_ssl": config.use_ssl,
            "verify": config.verify_ssl,
            "aws_access_key_id": credentials.access_key_id,
            "aws_secret_access_key": credentials.secret_access_key,
            "aws_session_token": getattr(credentials, "session_token", None),
        }
        return S3Resource(**{name: value for name, value in given.items() if value is not None})

    def get_client(self) -> Any:
        """Return a boto3 client of the connection. Raises as `s3_resource`."""
        return self.s3_resource().get_client()


def sentence(error: BaseException) -> str:
    """Return what may be shown of an error: our sentence, or the class of a foreign one, whose text may hold a URL."""
    return str(error) if isinstance(error, MixsyncError) else f"unexpected {type(error).__name__}; see the log"
