"""Which hosts are this machine alone, and which hosts a request names."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Scope


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine alone, by name or address."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def hosts_of(scope: Scope) -> Iterator[str]:
    """Yield the hosts that a request names: where it goes, and the page that it comes from; empty for no host."""
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        if name == b"host":
            yield _host_of(f"//{text}")
        elif name == b"origin":
            yield _host_of(text)


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""
