"""From a connection and a source path to the provider that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.credentials import S3RoleCredentials
from mixsync_dagster.model.paths import parse_s3_path
from mixsync_dagster.model.provider_configs import ProviderConfig, S3Config, TigrisConfig
from mixsync_dagster.model.secrets import reveal
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.providers.s3.queried import QueriedS3Provider
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster.transport.clock import SystemClock


def from_connection(
    config: ProviderConfig,
    source_path: str,
    *,
    provider_filters: Mapping[str, Any] | None = None,
    ca_bundle: Path | None = None,
    addresses: AddressPolicy | None = None,
    connection_id: str | None = None,
    clock: Clock | None = None,
) -> S3Provider:
    """Return the provider of one source path; nothing is sent yet.

    `config` is an S3Config or a TigrisConfig whose credentials hold values, no references. `provider_filters` may
    hold `prefix`: only keys that go on with it below the source path are listed. `ca_bundle` names the certificates
    to trust where the connection verifies them, `addresses` says where connections may go (None: anywhere),
    `connection_id` with whom a sign-in is shared. Raises InvalidInput for a source path or filters that are not
    accepted, ConfigurationError for settings that do not fit each other.
    """
    if not isinstance(config, S3Config | TigrisConfig):
        raise ConfigurationError(f"provider_type: {config.provider_type} is not accepted here; give s3 or tigris.")
    settings = settings_for(config, source_path, ca_bundle=ca_bundle)
    narrowed_to = _narrowed_to(provider_filters or {})
    settings = replace(settings, narrowed_to=narrowed_to, addresses=addresses, connection_id=connection_id)
    return provider_of(settings, clock or SystemClock())


def provider_of(settings: S3Settings, clock: Clock) -> S3Provider:
    """Return the provider that suits the settings' dialect. Raises ConfigurationError when they cannot be used."""
    kind = S3Provider if settings.row.query_header is None else QueriedS3Provider
    return kind(settings, clock)


def settings_for(config: S3Config | TigrisConfig, source_path: str, *, ca_bundle: Path | None = None) -> S3Settings:
    """Return the plain settings of a connection and a source path. Raises InvalidInput for the path."""
    path = parse_s3_path(source_path)
    verify: bool | str = config.verify_ssl
    if verify and ca_bundle is not None:
        verify = str(ca_bundle)
    settings = S3Settings(
        container=path.bucket,
        prefix=path.prefix,
        region=config.region,
        endpoint_url=config.endpoint_url,
        use_ssl=config.use_ssl,
        verify=verify,
    )
    secrets = reveal(config.credentials)
    if isinstance(config, TigrisConfig):
        settings = replace(settings, dialect="tigris")
    else:
        settings = replace(settings, dialect=str(config.dialect), addressing_style=config.addressing_style.value)
    if isinstance(config.credentials, S3RoleCredentials):
        return replace(settings, role_arn=secrets["role_arn"], external_id=secrets["external_id"])
    return replace(
        settings,
        access_key_id=secrets["access_key_id"],
        secret_access_key=secrets["secret_access_key"],
        session_token=secrets.get("session_token"),
    )


def _narrowed_to(provider_filters: Mapping[str, Any]) -> str:
    unknown = sorted(set(provider_filters) - {"prefix"})
    if unknown:
        raise InvalidInput.of("provider_filters", ", ".join(unknown), "only the key prefix")
    prefix = provider_filters.get("prefix", "")
    if not isinstance(prefix, str):
        raise InvalidInput.of("provider_filters.prefix", prefix, "the beginning of keys below the source path, as text")
    return prefix
