"""From a connection and a source path to the provider that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixsync_dagster.errors import AddressRefused, ConfigurationError, InvalidInput
from mixsync_dagster.model.credentials import SnowflakeKeyPairCredentials
from mixsync_dagster.model.paths import SnowflakeTable, parse_snowflake_path
from mixsync_dagster.model.provider_configs import ProviderConfig, SnowflakeConfig
from mixsync_dagster.model.secrets import reveal
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.snowflake.provider import SnowflakeProvider
from mixsync_dagster.providers.snowflake.settings import SnowflakeSettings
from mixsync_dagster.transport.addresses import AddressPolicy, matches

_OWN_HOSTS = ("*.snowflakecomputing.com", "*.snowflakecomputing.cn")
_HTTPS = 443


def from_connection(
    config: ProviderConfig,
    source_path: str,
    *,
    provider_filters: Mapping[str, Any] | None = None,
    ca_bundle: Path | None = None,
    addresses: AddressPolicy | None = None,
    connection_id: str | None = None,
    clock: Clock | None = None,
) -> SnowflakeProvider:
    """Return the provider of one table; nothing is sent yet.

    `config` is a SnowflakeConfig whose credentials hold values, no references. `provider_filters` may hold
    `content_column`: the column whose value is an item's content. `ca_bundle` is not used: the connector trusts
    what the environment's REQUESTS_CA_BUNDLE names, else the certificates of `certifi`. `connection_id` is told to
    Snowflake with every statement; `clock` is not used, its own decides. Raises InvalidInput for a source path or
    filters that are not accepted, ConfigurationError for a path that lacks a database or schema.

    With `addresses`, a `host` has to be Snowflake's own or one that they allow by name or address: the connector
    connects by itself, also to wherever its server says that results lie. Raises AddressRefused for another.
    """
    del ca_bundle, clock
    if not isinstance(config, SnowflakeConfig):
        raise ConfigurationError(f"provider_type: {config.provider_type} is not accepted here; give snowflake.")
    if addresses is not None and config.host is not None:
        _check_host(config.host, config.port or _HTTPS, addresses)
    settings = settings_for(config, source_path, provider_filters=provider_filters)
    return SnowflakeProvider(replace(settings, connection_id=connection_id))


def _check_host(host: str, port: int, addresses: AddressPolicy) -> None:
    if matches(host, (*_OWN_HOSTS, *addresses.allowed_hosts)):
        return
    if all(addresses.allowed_by_range(address) for address in addresses.addresses_of(host, port)):
        return
    raise AddressRefused(
        f"host: {host} is not connected to; leave it out, give one under snowflakecomputing.com, or let an "
        "administrator add it to MIXSYNC_ALLOWED_ADDRESSES."
    )


def settings_for(
    config: SnowflakeConfig, source_path: str, *, provider_filters: Mapping[str, Any] | None = None
) -> SnowflakeSettings:
    """Return the plain settings of a connection and a source path; raises as `from_connection`."""
    secrets = reveal(config.credentials)
    by_key = isinstance(config.credentials, SnowflakeKeyPairCredentials)
    return SnowflakeSettings(
        account=config.account,
        warehouse=config.warehouse,
        table=_table(config, source_path),
        username=secrets["username"],
        password=None if by_key else secrets["password"],
        private_key=secrets["private_key"] if by_key else None,
        private_key_passphrase=secrets.get("private_key_passphrase") if by_key else None,
        role=config.role,
        primary_key_columns=tuple(config.primary_key_columns or ()),
        incremental_column=config.incremental_column,
        content_column=_content_column(provider_filters or {}),
        host=config.host,
        port=config.port,
        protocol=config.protocol,
        query_timeout_seconds=config.query_timeout_seconds,
        page_rows=config.fetch_size,
    )


def _table(config: SnowflakeConfig, source_path: str) -> SnowflakeTable:
    path = parse_snowflake_path(source_path)
    database = path.database or _name(config.database, "database")
    schema = path.schema or _name(config.schema_name, "schema")
    for field, value in (("database", database), ("schema", schema)):
        if value is None:
            raise ConfigurationError(
                f"source_path: {source_path} names no {field} and the connection has no default one; give "
                f"DATABASE.SCHEMA.TABLE, or set {field} in the connection."
            )
    return SnowflakeTable(database, schema, path.table)


def _name(text: str | None, field: str) -> str | None:
    """Return a single identifier as Snowflake reads it: in upper case, unless it stands in quotes."""
    if text is None:
        return None
    parsed = parse_snowflake_path(text, field)
    if parsed.schema is not None:
        raise InvalidInput.of(field, text, "a single name")
    return parsed.table


def _content_column(provider_filters: Mapping[str, Any]) -> str | None:
    unknown = sorted(set(provider_filters) - {"content_column"})
    if unknown:
        raise InvalidInput.of("provider_filters", ", ".join(unknown), "only content_column")
    name = provider_filters.get("content_column")
    if name is not None and not (isinstance(name, str) and name):
        raise InvalidInput.of("provider_filters.content_column", name, "the name of a column")
    return name
