"""Connections: how one external storage is reached, as asked for, as stored and as shown."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, model_validator

from mixsync_dagster.model.base import (
    Count,
    Description,
    Flag,
    Metadata,
    Model,
    Text,
    UtcDatetime,
    field_not_accepted,
    not_accepted,
)
from mixsync_dagster.model.provider_configs import ProviderConfig, ProviderSettings, ProviderType
from mixsync_dagster.model.secrets import AnyMapping, reveal
from mixsync_dagster.model.status import CONNECTION_MOVES, TaskStatus
from mixsync_dagster.model.validation import parse

MAX_ERROR_CHARS = 1000
SUSPEND_AFTER_FAILURES = 5
"""Failures in a row after which a connection is suspended until it works or is changed."""

ConnectionName = Annotated[str, Text(1, 100)]


def cut_error(message: object) -> object:
    """Return an error message cut to what `last_error` may hold; other values pass unchanged."""
    if isinstance(message, str) and len(message) > MAX_ERROR_CHARS:
        return message[: MAX_ERROR_CHARS - 3] + "..."
    return message


LastError = Annotated[str, Text(0), BeforeValidator(cut_error)]


def _checked_status(status: TaskStatus) -> TaskStatus:
    if status not in CONNECTION_MOVES:
        raise not_accepted(", ".join(sorted(CONNECTION_MOVES)))
    return status


ConnectionStatus = Annotated[TaskStatus, AfterValidator(_checked_status)]


def _refuse_writing(write_enabled: bool) -> bool:
    if write_enabled:
        raise not_accepted("false, or leave it out: syncs only read, and nothing else uses a connection")
    return write_enabled


NoWriting = Annotated[Flag, AfterValidator(_refuse_writing)]


class StorageConnectionCreateRequest(Model):
    """A connection to create: provider, settings and credentials under a name."""

    name: ConnectionName = Field(
        description="Name of the connection, unique, 1 to 100 characters.", examples=["media-s3", "Marketing Drive"]
    )
    provider_type: ProviderType = Field(
        description=f"One of {', '.join(ProviderType)}; decides what provider_config holds."
    )
    provider_config: ProviderConfig = Field(
        description="Settings of the provider and its credentials. Credentials are encrypted where they are stored and "
        "never shown."
    )
    description: Description | None = Field(
        default=None, description="What the connection is for, up to 500 characters. None: no description."
    )
    metadata: Metadata | None = Field(
        default=None, description="Tags of your own, at most 50 keys with JSON values. None: no tags."
    )
    test_before_save: Flag = Field(
        default=True,
        description="Whether `mixsync apply` tries a new or changed connection at the provider, on the source paths of "
        "its syncs, and the source path of each new sync, before anything is saved; `--no-check` leaves it out once. "
        "Dagster never does when it loads MIXSYNC_SYNCS_DIR. It is asked for anew by each file and not stored.",
    )
    write_enabled: NoWriting = Field(
        default=False, description="Whether the connection may be used for writing: only false, for syncs only read."
    )

    @model_validator(mode="before")
    @classmethod
    def _tell_provider(cls, data: Any) -> Any:
        """Put the provider's type into its config, which is checked by it."""
        if not isinstance(data, Mapping):
            return data
        provider_type, config = data.get("provider_type"), data.get("provider_config")
        if provider_type not in list(ProviderType):
            # Alone, for without a provider nothing can be said about its config.
            raise field_not_accepted("provider_type", provider_type, "one of " + ", ".join(sorted(ProviderType)))
        if not isinstance(config, Mapping):
            return data
        if config.get("provider_type", provider_type) != provider_type:
            accepted = f"{provider_type} (the connection's provider_type), or leave it out"
            raise field_not_accepted(("provider_config", "provider_type"), config["provider_type"], accepted)
        return {**data, "provider_config": {**config, "provider_type": str(ProviderType(provider_type))}}


class StorageConnectionUpdateRequest(Model):
    """Changes of a connection; what is left out stays."""

    refused_keys: ClassVar[Mapping[str, str]] = {
        "provider_type": "it cannot be changed; create a new connection.",
    }

    name: ConnectionName | None = Field(default=None, description="New name, unique, 1 to 100 characters. None: kept.")
    description: Description | None = Field(
        default=None, description="New description, up to 500 characters; an empty text clears it. None: kept."
    )
    metadata: Metadata | None = Field(
        default=None, description="New tags, which replace the old ones as a whole. None: kept."
    )
    status: ConnectionStatus | None = Field(
        default=None, description="ACTIVE, SUSPENDED, FAILED or ARCHIVED (cannot come back). None: kept."
    )
    is_active: Flag | None = Field(
        default=None, description="true stands for the status ACTIVE, false for SUSPENDED. None: kept."
    )
    provider_config: AnyMapping | None = Field(
        default=None,
        description="New settings, which replace the old ones as a whole; credential fields that are left out are kept "
        "while credentials.type is unchanged. None: kept.",
    )
    write_enabled: NoWriting | None = Field(
        default=None, description="Whether writing is allowed: only false. None: kept."
    )

    @model_validator(mode="after")
    def _check_change(self) -> Self:
        if not any(value is not None for _, value in self):
            raise not_accepted("at least one of the keys " + ", ".join(self.accepted_keys()))
        fitting = None if self.status is None else self.status is TaskStatus.ACTIVE
        if None not in (self.is_active, fitting) and self.is_active is not fitting:
            accepted = "the value that fits the status, or only one of the two"
            raise field_not_accepted("is_active", self.is_active, accepted)
        return self

    @property
    def new_status(self) -> TaskStatus | None:
        """The status asked for, by either field; None when it is to stay."""
        if self.status is not None or self.is_active is None:
            return self.status
        return TaskStatus.ACTIVE if self.is_active else TaskStatus.SUSPENDED


class StorageConnection(Model):
    """A stored connection. It holds the provider's settings and never its credentials, only their type."""

    connection_id: Annotated[str, Text()] = Field(description="Id of the connection (conn_...).")
    internal_id: Annotated[str, Text()] = Field(description="Id of the organisation (int_...).")
    name: ConnectionName = Field(description="Name of the connection, unique.")
    provider_type: ProviderType = Field(description="Provider of the connection.")
    provider_config: ProviderSettings = Field(description="Settings of the provider, without credentials.")
    credentials_type: Annotated[str, Text()] = Field(description="Type of the stored credentials, e.g. access_key.")
    description: Description | None = Field(default=None, description="What it is for. None: no description.")
    metadata: Metadata = Field(default_factory=dict, description="The user's tags.")
    write_enabled: Flag = Field(default=False, description="Whether writing is allowed; syncs only read.")
    status: ConnectionStatus = Field(
        default=TaskStatus.ACTIVE, description="ACTIVE, SUSPENDED, FAILED or ARCHIVED (cannot come back)."
    )
    last_used_at: UtcDatetime | None = Field(default=None, description="Last successful use. None: never used.")
    last_error: LastError | None = Field(
        default=None, description="Last failure, cut to 1000 characters. None: no failure since the last success."
    )
    consecutive_failures: Count = Field(
        default=0, description="Failures since the last success; at 5 the connection is suspended."
    )
    created_at: UtcDatetime = Field(description="When it was created.")
    updated_at: UtcDatetime = Field(description="When it was changed last.")
    created_by_user_id: Annotated[str, Text()] = Field(description="Who created it (usr_...).")

    @model_validator(mode="after")
    def _check_provider(self) -> Self:
        if self.provider_config.provider_type != self.provider_type:
            raise field_not_accepted("provider_type", self.provider_type, self.provider_config.provider_type)
        return self

    @property
    def is_active(self) -> bool:
        """Whether it may be used: true for the status ACTIVE only."""
        return self.status is TaskStatus.ACTIVE

    @property
    def suspended_for_failures(self) -> bool:
        """Whether it was not a person who suspended it."""
        return self.status is TaskStatus.SUSPENDED and self.consecutive_failures >= SUSPEND_AFTER_FAILURES

    def public_dict(self) -> dict[str, Any]:
        """Return the JSON form of the API, in which credentials are nothing but their type."""
        shown = self.model_dump(mode="json", exclude={"credentials_type"})
        shown["provider_config"]["credentials"] = {"type": self.credentials_type}
        return {**shown, "is_active": self.is_active}


_SETTINGS: TypeAdapter[ProviderSettings] = TypeAdapter(ProviderSettings)


def settings_of(config: ProviderConfig) -> ProviderSettings:
    """Return the config without its credentials."""
    return _SETTINGS.validate_python(config.model_dump(exclude={"credentials"}))


def new_connection(
    request: StorageConnectionCreateRequest,
    *,
    connection_id: str,
    internal_id: str,
    created_by_user_id: str,
    now: datetime,
) -> tuple[StorageConnection, dict[str, Any]]:
    """Return the connection to store and, apart from it, its credentials in plain values (references stay)."""
    credentials = request.provider_config.credentials
    connection = StorageConnection(
        connection_id=connection_id,
        internal_id=internal_id,
        name=request.name,
        provider_type=request.provider_type,
        provider_config=settings_of(request.provider_config),
        credentials_type=credentials.type,
        description=request.description,
        metadata=request.metadata or {},
        write_enabled=request.write_enabled,
        created_at=now,
        updated_at=now,
        created_by_user_id=created_by_user_id,
    )
    return connection, reveal(credentials)


def full_config(connection: StorageConnection, credentials: Mapping[str, Any]) -> ProviderConfig:
    """Return settings and credentials as one config, e.g. for an adapter. Raises InvalidInput when they do not fit."""
    return _config(connection.provider_type, {**connection.provider_config.model_dump(), "credentials": credentials})


def replaced_config(
    connection: StorageConnection, credentials: Mapping[str, Any], update: StorageConnectionUpdateRequest
) -> ProviderConfig:
    """Return the config after an update: new settings as a whole, credential fields merged while their type stays.

    `credentials` are the stored ones. Without a provider_config in the update it is the present config. Raises
    InvalidInput when the result is not accepted; the message names fields under `provider_config`.
    """
    if update.provider_config is None:
        return full_config(connection, credentials)
    asked = reveal(update.provider_config)
    given = asked.get("credentials", {})
    if isinstance(given, Mapping) and given.get("type", connection.credentials_type) == connection.credentials_type:
        asked["credentials"] = {**credentials, **given}
    return _config(connection.provider_type, asked)


def _config(provider_type: ProviderType, config: Mapping[str, Any]) -> ProviderConfig:
    whole = {"name": "unnamed", "provider_type": provider_type, "provider_config": config}
    return parse(StorageConnectionCreateRequest, whole).provider_config
