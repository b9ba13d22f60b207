"""What may be done to a connection: create, change, test, archive."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mixsync_dagster.control.checking import SourceCheck
from mixsync_dagster.control.definitions import Offered
from mixsync_dagster.control.owners import Owner, new_connection_id
from mixsync_dagster.errors import (
    ConfigurationError,
    FieldProblem,
    InvalidInput,
    MixsyncError,
    PathNotFound,
    StoreUnavailable,
)
from mixsync_dagster.model.connections import (
    StorageConnection,
    StorageConnectionCreateRequest,
    StorageConnectionUpdateRequest,
    new_connection,
    replaced_config,
    settings_of,
)
from mixsync_dagster.model.provider_configs import ProviderConfig, ProviderType
from mixsync_dagster.model.provider_kinds import KINDS
from mixsync_dagster.model.secrets import EnvReference, Secret, references, reveal
from mixsync_dagster.model.status import CONNECTION_MOVES, TaskStatus, check_move
from mixsync_dagster.model.tenants import Namespace
from mixsync_dagster.ports.control import ConfigStore

ReachCheck = Callable[[ProviderConfig], None]
"""Returns if an organisation may use a config's hosts and identity. Raises InvalidInput."""

_SENT_TO = ("api_endpoint", "graph_endpoint", "authority_host", "host", "account")
"""Settings that say where secrets themselves are sent to; S3 sends signatures only."""


@dataclass(frozen=True, slots=True)
class Tested:
    """What testing a connection led to."""

    success: bool
    message: str
    """One sentence, without a secret."""
    source_path: str | None
    """The path that was tried; None when it was one that nobody has, to hear what is said of the credentials."""
    blames: bool = False
    """Whether the failure is the connection's own: neither an outage nor a path that is gone."""


def check_connection(config: ProviderConfig, check: SourceCheck, *, source_path: str | None = None) -> Tested:
    """Return whether the provider accepts a config whose credentials hold values, and the source path when given."""
    tried = source_path or KINDS[ProviderType(config.provider_type)].nowhere.format(secrets.token_hex(8))
    try:
        check(config, tried, provider_filters=None)
    except MixsyncError as error:
        if source_path is not None or not isinstance(error, PathNotFound):
            return Tested(False, str(error), source_path, _blames(error))
    told = f"The provider answers and {source_path} can be listed." if source_path else "The provider answers."
    return Tested(True, told, source_path)


def create_connection(
    store: ConfigStore,
    request: StorageConnectionCreateRequest,
    *,
    owner: Owner,
    now: datetime,
    offered: Offered,
    check: SourceCheck | None,
    check_reach: ReachCheck | None = None,
    connection_id: str | None = None,
) -> StorageConnection:
    """Store a new connection and return it; tried before with `check`, unless the request says otherwise.

    `check_reach` says whether the owner may use the config's hosts and identity. Raises InvalidInput, also when the
    test fails; Conflict when the name is taken.
    """
    _refuse_not_offered(request.provider_type, offered)
    _refuse_references(references(request.provider_config.credentials))
    if check_reach is not None:
        check_reach(request.provider_config)
    if check is not None and request.test_before_save:
        _pass_test(check_connection(request.provider_config, check))
    connection, credentials = new_connection(
        request,
        connection_id=connection_id or new_connection_id(),
        internal_id=owner.internal_id,
        created_by_user_id=owner.user_id,
        now=now,
    )
    store.save_connection(connection, credentials=credentials)
    return connection


def update_connection(
    store: ConfigStore,
    connection: StorageConnection,
    update: StorageConnectionUpdateRequest,
    *,
    now: datetime,
    check_reach: ReachCheck | None = None,
) -> StorageConnection:
    """Change a connection and return it; credential fields that the update leaves out are kept.

    Secrets are not kept where the update names another host that they would be sent to. `check_reach` as for
    `create_connection`. Raises InvalidInput, Conflict for a name that is taken and a status that cannot follow, or
    while a sync uses a connection that is to be archived.
    """
    changes: dict[str, object] = {"updated_at": now}
    credentials = None
    if update.new_status is TaskStatus.ARCHIVED:
        if update.model_dump(exclude={"status", "is_active"}, exclude_none=True):
            raise InvalidInput.of("status", "ARCHIVED beside other changes", "ARCHIVED alone, for nothing else is kept")
        store.delete_connection(connection.connection_id)
        return store.get_connection(connection.connection_id)
    if update.new_status is not None:
        check_move(connection.status, update.new_status, CONNECTION_MOVES)
        changes["status"] = update.new_status
        if update.new_status is TaskStatus.ACTIVE:
            changes |= {"last_error": None, "consecutive_failures": 0}
    if update.provider_config is not None:
        config = _changed_config(store, connection, update, check_reach)
        credentials = reveal(config.credentials)
        changes |= {"provider_config": settings_of(config), "credentials_type": config.credentials.type}
        if connection.suspended_for_failures and update.new_status is None:
            # Somebody repaired it.
            changes |= {"status": TaskStatus.ACTIVE, "last_error": None, "consecutive_failures": 0}
    for name in ("name", "metadata"):
        if getattr(update, name) is not None:
            changes[name] = getattr(update, name)
    if update.description is not None:
        changes["description"] = update.description or None
    changed = connection.model_copy(update=changes)
    store.save_connection(changed, credentials=credentials)
    return changed


def _changed_config(
    store: ConfigStore,
    connection: StorageConnection,
    update: StorageConnectionUpdateRequest,
    check_reach: ReachCheck | None,
) -> ProviderConfig:
    asked = reveal(update.provider_config or {}).get("credentials")
    given = asked if isinstance(asked, Mapping) else {}
    _refuse_references({name: "" for name, value in given.items() if isinstance(value, Mapping)})
    kept = store.credentials_of(connection.connection_id)
    config = replaced_config(connection, kept, update)
    if check_reach is not None:
        check_reach(config)
    _refuse_moved_secrets(connection, config, kept, given)
    return config


def check_stored(
    store: ConfigStore,
    connection: StorageConnection,
    *,
    config_of: Callable[[StorageConnection], ProviderConfig],
    check: SourceCheck,
    within: Namespace,
) -> Tested:
    """Return whether a stored connection works: on the source path of one of the namespace's syncs, where it has one.

    What comes out is noted: five failures in a row suspend the connection, a success ends that. Raises NotFound,
    StoreUnavailable.
    """
    syncs = store.list_syncs(connection_id=connection.connection_id, within=within)
    tested = _tested(connection, config_of, check, syncs[0].source_path if syncs else None)
    if tested.success or tested.blames:
        store.connection_used(connection.connection_id, error=None if tested.success else tested.message)
    return tested


def _tested(
    connection: StorageConnection,
    config_of: Callable[[StorageConnection], ProviderConfig],
    check: SourceCheck,
    source_path: str | None,
) -> Tested:
    try:
        config = config_of(connection)
    except StoreUnavailable:
        raise
    except MixsyncError as error:
        return Tested(False, str(error), None, _blames(error))
    return check_connection(config, check, source_path=source_path)


def _blames(error: MixsyncError) -> bool:
    return isinstance(error, ConfigurationError) and not isinstance(error, PathNotFound)


def _refuse_moved_secrets(
    connection: StorageConnection, config: ProviderConfig, kept: Mapping[str, Any], given: Mapping[str, Any]
) -> None:
    """Refuse to send kept secrets to a host of the caller's choice: whoever may set one may not read the other."""
    moved = [
        field for field in _SENT_TO if getattr(config, field, None) != getattr(connection.provider_config, field, None)
    ]
    if getattr(config.credentials, "token_uri", None) != kept.get(
        "token_uri", getattr(config.credentials, "token_uri", None)
    ):
        moved.append("credentials.token_uri")
    secrets_kept = [
        name
        for name in type(config.credentials).model_fields
        if isinstance(getattr(config.credentials, name), Secret | EnvReference) and name not in given
    ]
    if moved and secrets_kept:
        field = f"provider_config.credentials.{secrets_kept[0]}"
        accepted = f"the secret again, for {moved[0]} is another place to send it to"
        raise InvalidInput([FieldProblem(field, "", accepted, f"{field} is missing; give {accepted}.")])


def _pass_test(tested: Tested) -> None:
    if not tested.success:
        accepted = "settings and credentials that the provider accepts, or test_before_save: false"
        reason = tested.message.rstrip(".")
        said = f"provider_config: the connection did not pass its test: {reason}; give {accepted}."
        raise InvalidInput([FieldProblem("provider_config", "", accepted, said)])


def _refuse_not_offered(provider: ProviderType, offered: Offered) -> None:
    if provider not in offered.providers:
        names = ", ".join(sorted(offered.providers))
        said = f"provider_type: {provider} is not offered yet; give one of {names}."
        raise InvalidInput([FieldProblem("provider_type", provider.value, names, said)])


def _refuse_references(found: Mapping[str, str]) -> None:
    # They would be resolved in the server's own environment, which holds more than the caller's secrets.
    problems = []
    for name in found:
        field = f"provider_config.credentials.{name}"
        said = f"{field}: a reference to an environment variable is not accepted here; give the value itself."
        problems.append(FieldProblem(field, "", "the value itself", said))
    if problems:
        raise InvalidInput(problems)
