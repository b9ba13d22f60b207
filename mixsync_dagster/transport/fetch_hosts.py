"""The hosts that URLs in users' rows may name, as an administrator lists them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mixsync_dagster.transport.addresses import checked_host, matches

PORTS: Mapping[str, int] = {"https": 443, "http": 80}
"""The schemes that are fetched, and the port of each where none is given."""

_PLAIN = "http://"
_MOST_PORTS = 65535


@dataclass(frozen=True, slots=True)
class FetchHost:
    """One entry: which host, over which port, and whether plain http will do."""

    pattern: str
    """A name in lower case, an address, `*.example.com` for everything under it, or `*` for every host."""
    port: int | None = None
    """None: the scheme's own."""
    plain: bool = False

    @classmethod
    def of(cls, entry: str) -> FetchHost:
        """Return what `host`, `host:port` or either behind `http://` says. Raises ValueError with the entry."""
        text = entry.strip()
        plain = text.startswith(_PLAIN)
        host, port = _parted(text.removeprefix(_PLAIN) if plain else text, entry)
        return cls(host if host == "*" else _checked(host, entry), port, plain)

    def allows(self, scheme: str, host: str, port: int) -> bool:
        """Return whether a URL with these parts may be fetched by this entry."""
        if scheme == "http" and not self.plain:
            return False
        return (self.pattern == "*" or matches(host, [self.pattern])) and port == (self.port or PORTS[scheme])


@dataclass(frozen=True, slots=True)
class FetchHosts:
    """All entries; without one, nothing is fetched."""

    entries: tuple[FetchHost, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[str]) -> FetchHosts:
        """Return the hosts of these entries. Raises ValueError with the text of one that is not accepted."""
        return cls(tuple(FetchHost.of(entry) for entry in entries))

    def allow(self, scheme: str, host: str, port: int) -> bool:
        """Return whether a URL with these parts may be fetched."""
        return any(entry.allows(scheme, host, port) for entry in self.entries)


def _parted(text: str, entry: str) -> tuple[str, int | None]:
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) <= _MOST_PORTS):
        raise ValueError(entry)
    return host, int(port)


def _checked(host: str, entry: str) -> str:
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        pass
    try:
        return checked_host(host)
    except ValueError:
        raise ValueError(entry) from None
