"""Addresses of services: https everywhere, plain http for loopback addresses only."""

from __future__ import annotations

import ipaddress
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from mixsync_dagster.model.base import Text, not_accepted

_ACCEPTED = "an https URL of a host, without user, query or fragment (plain http for loopback addresses only)"


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine by its name alone: localhost, 127.0.0.0/8 or ::1; without a look-up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise not_accepted(_ACCEPTED) from None
    plain = parts.username is None and not parts.query and not parts.fragment and url == "".join(url.split())
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0 or not plain:
        raise not_accepted(_ACCEPTED)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise not_accepted("an https URL: plain http is accepted for loopback addresses only")
    return url


def _without_slash(url: str) -> str:
    if url.endswith("/"):
        raise not_accepted("the URL without a trailing slash")
    return url


ServiceUrl = Annotated[str, Text(accepted=_ACCEPTED), AfterValidator(_checked_url)]
"""An address; a trailing slash is kept as given."""

EndpointUrl = Annotated[ServiceUrl, AfterValidator(_without_slash)]
"""An address without a trailing slash."""
