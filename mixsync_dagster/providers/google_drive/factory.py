"""From a connection and a source path to the provider that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.paths import parse_drive_path
from mixsync_dagster.model.provider_configs import GoogleDriveConfig, ProviderConfig
from mixsync_dagster.model.secrets import reveal
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.google_drive.provider import GoogleDriveProvider
from mixsync_dagster.providers.google_drive.settings import DriveSettings
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster.transport.clock import SystemClock

_SHARED_DRIVE = "shared_drive_id"


def from_connection(
    config: ProviderConfig,
    source_path: str,
    *,
    provider_filters: Mapping[str, Any] | None = None,
    ca_bundle: Path | None = None,
    addresses: AddressPolicy | None = None,
    connection_id: str | None = None,
    clock: Clock | None = None,
) -> GoogleDriveProvider:
    """Return the provider of one source path; nothing is sent yet.

    `config` is a GoogleDriveConfig whose credentials hold values, no references. `provider_filters` may hold
    `shared_drive_id`, which then takes the place of the connection's. `ca_bundle` names the certificates to trust,
    `addresses` says where connections may go (None: anywhere), `connection_id` with whom a sign-in is shared.
    Raises InvalidInput for a source path or filters that are not accepted, ConfigurationError for credentials that
    cannot be used.
    """
    if not isinstance(config, GoogleDriveConfig):
        raise ConfigurationError(f"provider_type: {config.provider_type} is not accepted here; give google_drive.")
    filters = provider_filters or {}
    settings = settings_for(config, source_path, shared_drive_id=_shared_drive(filters), ca_bundle=ca_bundle)
    settings = replace(settings, addresses=addresses, connection_id=connection_id)
    return GoogleDriveProvider(settings, clock or SystemClock())


def settings_for(
    config: GoogleDriveConfig,
    source_path: str,
    *,
    shared_drive_id: str | None = None,
    ca_bundle: Path | None = None,
) -> DriveSettings:
    """Return the plain settings of a connection and a source path. Raises InvalidInput for the path."""
    account = {**reveal(config.credentials), "token_uri": config.credentials.token_uri}
    return DriveSettings(
        place=parse_drive_path(source_path),
        account=account,
        shared_drive_id=shared_drive_id or config.shared_drive_id,
        impersonate_user=config.impersonate_user,
        api_endpoint=config.api_endpoint,
        verify=True if ca_bundle is None else str(ca_bundle),
        export_format=config.export_format,
        follow_shortcuts=config.follow_shortcuts,
    )


def _shared_drive(provider_filters: Mapping[str, Any]) -> str | None:
    unknown = sorted(set(provider_filters) - {_SHARED_DRIVE})
    if unknown:
        raise InvalidInput.of("provider_filters", ", ".join(unknown), f"only {_SHARED_DRIVE}")
    drive = provider_filters.get(_SHARED_DRIVE)
    if drive is not None and (not isinstance(drive, str) or not drive):
        raise InvalidInput.of(f"provider_filters.{_SHARED_DRIVE}", drive, "the id of a shared drive (0A...)")
    return drive
