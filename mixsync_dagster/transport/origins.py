"""Where requests go: origins, and pools of connections to them."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster.transport.http import HttpPool, HttpSettings

PORTS = {"https": 443, "http": 80}
"""The schemes' own ports."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go: what two addresses must share for a link to be followed."""

    scheme: str
    host: str
    """Lower case, without brackets."""
    port: int

    @classmethod
    def of(cls, url: str) -> Origin | None:
        """Return the origin of an http(s) URL without user part; None for anything else."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return None
        if parts.scheme not in PORTS or not parts.hostname or parts.username is not None:
            return None
        return cls(parts.scheme, parts.hostname.lower(), port or PORTS[parts.scheme])

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's own, port; for a Host header and for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"


class Connecting(Protocol):
    """How a provider's settings say that connections are made; see HttpSettings for what each means."""

    @property
    def verify(self) -> bool | str: ...  # noqa: D102 - see above
    @property
    def connect_timeout_seconds(self) -> float: ...  # noqa: D102 - see above
    @property
    def read_timeout_seconds(self) -> float: ...  # noqa: D102 - see above
    @property
    def max_connections(self) -> int: ...  # noqa: D102 - see above
    @property
    def addresses(self) -> AddressPolicy | None: ...  # noqa: D102 - see above


def pool_of(origin: Origin, how: Connecting) -> HttpPool:
    """Return a new pool of connections to an origin; nothing is connected yet."""
    return HttpPool(
        HttpSettings(
            origin.scheme,
            origin.host,
            origin.port,
            verify=how.verify,
            connect_timeout_seconds=how.connect_timeout_seconds,
            read_timeout_seconds=how.read_timeout_seconds,
            max_connections=how.max_connections,
            addresses=how.addresses,
        )
    )


class Pools:
    """Connections to the origins that answers name, a pool each, made on first use; for any number of threads."""

    def __init__(self, how: Connecting) -> None:
        self._how = how
        self._pools: dict[Origin, HttpPool] = {}
        self._lock = threading.Lock()

    def of(self, origin: Origin) -> HttpPool:
        """Return the pool of an origin."""
        with self._lock:
            pool = self._pools.get(origin)
            if pool is None:
                pool = self._pools[origin] = pool_of(origin, self._how)
            return pool

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()
