"""From a connection and a source path to the provider that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.paths import parse_sharepoint_path
from mixsync_dagster.model.provider_configs import ProviderConfig, SharePointConfig
from mixsync_dagster.model.secrets import reveal
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.sharepoint.provider import SharePointProvider
from mixsync_dagster.providers.sharepoint.settings import SharePointSettings
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
) -> SharePointProvider:
    """Return the provider of one source path; nothing is sent yet.

    `config` is a SharePointConfig whose credentials hold values, no references. There are no `provider_filters`.
    `ca_bundle` names the certificates to trust, `addresses` says where connections may go (None: anywhere),
    `connection_id` with whom a sign-in is shared. Raises InvalidInput for a source path or filters that are not
    accepted, ConfigurationError for settings that do not fit each other.
    """
    if not isinstance(config, SharePointConfig):
        raise ConfigurationError(f"provider_type: {config.provider_type} is not accepted here; give sharepoint.")
    if provider_filters:
        raise InvalidInput.of("provider_filters", ", ".join(sorted(provider_filters)), "none for sharepoint")
    settings = settings_for(config, source_path, ca_bundle=ca_bundle)
    settings = replace(settings, addresses=addresses, connection_id=connection_id)
    return SharePointProvider(settings, clock or SystemClock())


def settings_for(config: SharePointConfig, source_path: str, *, ca_bundle: Path | None = None) -> SharePointSettings:
    """Return the plain settings of a connection and a source path. Raises InvalidInput for either path."""
    path = parse_sharepoint_path(source_path)
    folders = path.folders
    if path.site is None and not folders and config.folder_path is not None:
        # Here no name is that of a site: the folder lies in the connection's own drive, whatever it is called.
        folders = _folders_of(config.folder_path)
    secrets = reveal(config.credentials)
    return SharePointSettings(
        tenant_id=secrets["tenant_id"],
        client_id=secrets["client_id"],
        client_secret=secrets.get("client_secret"),
        certificate=secrets.get("certificate"),
        private_key=secrets.get("private_key"),
        private_key_passphrase=secrets.get("private_key_passphrase"),
        refresh_token=secrets.get("refresh_token"),
        site_id=config.site_id,
        drive_id=config.drive_id,
        source_site=path.site,
        library=path.library,
        folders=folders,
        graph_endpoint=config.graph_endpoint,
        authority_host=config.authority_host,
        verify=True if ca_bundle is None else str(ca_bundle),
    )


def _folders_of(folder_path: str) -> tuple[str, ...]:
    try:
        return parse_sharepoint_path("/-/" + folder_path.strip("/")).folders[1:]
    except InvalidInput:
        raise InvalidInput.of("folder_path", folder_path, "a folder such as /Marketing/Assets") from None
