"""Where the connections of an organisation may go, and as whom.

Whoever operates this installation wrote its files and runs its commands: connections of the organisation `local` go
anywhere but to the metadata of a cloud. Other organisations are strangers: theirs go to public addresses, judged at
every connection, and to what MIXSYNC_ALLOWED_ADDRESSES names; and they act with credentials of their own.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from mixsync_dagster.errors import AddressRefused, FieldProblem, InvalidInput, ProviderUnavailable
from mixsync_dagster.model.credentials import S3RoleCredentials
from mixsync_dagster.model.provider_configs import ProviderConfig
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.settings import Settings
from mixsync_dagster.transport.addresses import AddressPolicy

_METADATA = tuple(
    ipaddress.ip_network(network)
    for network in ("169.254.0.0/16", "168.63.129.16/32", "100.100.100.200/32", "fd00:ec2::/32", "fe80::/10")
)
_HOST_FIELDS = ("endpoint_url", "api_endpoint", "graph_endpoint", "authority_host", "host")
_HTTPS = 443


def is_local(internal_id: str) -> bool:
    """Return whether an organisation is that of whoever operates this installation."""
    return internal_id == LOCAL_NAMESPACE.internal_id


def addresses_for(settings: Settings, internal_id: str) -> AddressPolicy | None:
    """Return where the connections of an organisation may go; None: anywhere, once `check_reach` has passed."""
    if is_local(internal_id):
        return None
    return replace(AddressPolicy.of(settings.allowed_addresses), discreet=True)


def check_reach(config: ProviderConfig, settings: Settings, internal_id: str) -> None:
    """Return if the organisation may use what the config asks for: its hosts as they stand now, and its identity.

    Raises InvalidInput naming the field; a host that is not known is left to whoever connects to it.
    """
    policy = addresses_for(settings, internal_id)
    for field, host, port in named_hosts(config):
        try:
            if policy is not None:
                policy.addresses_of(host, port)
            else:
                _refuse_metadata(host, port, AddressPolicy.of(settings.allowed_addresses))
        except AddressRefused as error:
            said = f"provider_config.{field}: {_begun(str(error))}"
            raise InvalidInput([FieldProblem(f"provider_config.{field}", host, "a public host", said)]) from None
        except ProviderUnavailable:
            continue
    if isinstance(config.credentials, S3RoleCredentials) and not (is_local(internal_id) or settings.tenant_roles):
        accepted = "access_key: roles would be assumed by this machine's own identity, which is not for tenants"
        raise InvalidInput.of("provider_config.credentials.type", "iam_role", accepted)


def _refuse_metadata(host: str, port: int, allowed: AddressPolicy) -> None:
    try:
        found = list(allowed.resolve(host.strip("[]"), port))
    except (OSError, UnicodeError):
        # Whoever connects to it says so.
        return
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        address = getattr(address, "ipv4_mapped", None) or address
        if any(address in network for network in _METADATA) and not allowed.allowed_by_range(text):
            raise AddressRefused(
                f"The host {host} stands at {text}, where clouds keep the metadata of their machines, and is not "
                "connected to; add it to MIXSYNC_ALLOWED_ADDRESSES if it is meant."
            )


def named_hosts(config: ProviderConfig) -> Iterator[tuple[str, str, int]]:
    """Yield field, host and port of every host that a config names."""
    for field in _HOST_FIELDS:
        value = getattr(config, field, None)
        if value is not None:
            yield field, *_place(value, getattr(config, "port", None))
    token_uri = getattr(config.credentials, "token_uri", None)
    if token_uri is not None:
        yield "credentials.token_uri", *_place(token_uri, None)


def _place(value: str, port: int | None) -> tuple[str, int]:
    if "://" not in value:
        return value, port or _HTTPS
    parts = urlsplit(value)
    return parts.hostname or "", parts.port or (_HTTPS if parts.scheme == "https" else 80)


def _begun(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:]
