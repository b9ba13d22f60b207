"""What applying definitions has to try at the providers: new and changed connections, and new syncs' source paths."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mixsync_dagster.control.checking import SourceCheck, SourceTest, failed_tests
from mixsync_dagster.control.planned import CREATED, UNCHANGED
from mixsync_dagster.control.yaml_files import Definition, DefinitionSet
from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.connections import StorageConnection, full_config
from mixsync_dagster.model.credentials import resolve
from mixsync_dagster.model.documents import ConfigDocument
from mixsync_dagster.model.provider_configs import ProviderConfig
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.control import ConfigStore


@dataclass(frozen=True, slots=True)
class Trials:
    """The trials of one set of definitions whose steps are planned and not yet written."""

    store: ConfigStore
    definitions: DefinitionSet
    document: ConfigDocument
    changes: Mapping[tuple[str, str], str]
    """What becomes of each definition, by kind and name."""
    stored: Mapping[str, StorageConnection]
    """The stored connections, by name."""
    other_syncs: Sequence[SyncConfiguration]
    """The stored syncs that no file defines and that stay."""
    lookup: Callable[[str], str | None]

    def run(self, check: SourceCheck) -> list[str]:
        """Try everything; return a warning for each connection that nothing can be tried on.

        Raises InvalidInput with one problem for each connection or source path that fails, ConfigurationError when a
        stored connection refers to a variable that is not set.
        """
        tests = list(self._tests())
        problems = failed_tests(tests, check)
        if problems:
            raise InvalidInput(problems)
        tried = {test.connection for test in tests}
        return [
            f"{definition.file}:{definition.line_of()}: {definition.where} was not tested, for no sync gives a source "
            "path to test it on."
            for name, definition in self.definitions.connections.items()
            if name not in tried and self._wants_trial(name)
        ]

    def _tests(self) -> Iterator[SourceTest]:
        covered = set()
        for name, request in self.document.syncs.items():
            connection = self._name_of(request.connection_id)
            if self._wants_trial(connection, new_sync=self.changes["sync", name] == CREATED):
                covered.add(connection)
                definition = self.definitions.syncs[name]
                yield self._test(connection, definition, request.source_path, request.provider_filters)
        for name in self.document.connections:
            if name in self.stored and name not in covered and self._wants_trial(name):
                for sync in self.other_syncs:
                    if sync.connection_id == self.stored[name].connection_id:
                        yield self._test(name, None, sync.source_path, sync.provider_filters)

    def _wants_trial(self, connection: str, *, new_sync: bool = False) -> bool:
        asked = self.document.connections.get(connection)
        if asked is None:
            return new_sync
        return asked.test_before_save and (new_sync or self.changes["connection", connection] != UNCHANGED)

    def _name_of(self, asked: str) -> str:
        """Return the name of a connection that a sync names by its name or id."""
        if asked in self.document.connections:
            return asked
        return next((name for name, stored in self.stored.items() if asked == stored.connection_id), asked)

    def _test(
        self, connection: str, sync: Definition | None, source_path: str, filters: Mapping[str, Any] | None
    ) -> SourceTest:
        return SourceTest(
            connection=connection,
            connection_definition=self.definitions.connections.get(connection),
            sync_definition=sync,
            config=self._config_of(connection),
            source_path=source_path,
            provider_filters=filters,
        )

    def _config_of(self, connection: str) -> ProviderConfig:
        """Return settings and credentials in values."""
        asked = self.document.connections.get(connection)
        if asked is not None:
            config = asked.provider_config
        else:
            stored = self.stored[connection]
            config = full_config(stored, self.store.credentials_of(stored.connection_id))
        try:
            credentials = resolve(config.credentials, self.lookup)
        except ConfigurationError as error:
            raise ConfigurationError(f"connection {connection}: {error}") from None
        return config.model_copy(update={"credentials": credentials})
