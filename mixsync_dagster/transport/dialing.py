"""Connections of urllib3 that go only where an AddressPolicy lets them."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any

from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError
from urllib3.util import Timeout

from mixsync_dagster.transport.addresses import AddressPolicy


class GuardedConnection(HTTPConnection):
    """Connects by the policy; the certificate is still checked for the host's name."""

    def __init__(self, *args: Any, addresses: AddressPolicy, **options: Any) -> None:
        super().__init__(*args, **options)
        self._addresses = addresses

    def _new_conn(self) -> socket.socket:
        seconds = Timeout.resolve_default_timeout(self.timeout)
        try:
            return self._addresses.connect(
                self.host, self.port or 0, timeout_seconds=seconds, socket_options=self.socket_options or ()
            )
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"{self.host} did not answer in time") from error
        except OSError as error:
            raise NewConnectionError(self, f"{self.host} cannot be reached") from error


class GuardedTlsConnection(GuardedConnection, HTTPSConnection):
    """The same, over TLS."""


class GuardedHttpPool(HTTPConnectionPool):
    """A pool for plain http; takes `addresses` besides what urllib3's takes. Requests raise AddressRefused too."""

    ConnectionCls = GuardedConnection


class GuardedHttpsPool(HTTPSConnectionPool):
    """A pool for https; takes `addresses` besides what urllib3's takes. Requests raise AddressRefused too."""

    ConnectionCls = GuardedTlsConnection


def pool_manager(addresses: AddressPolicy | None, **options: Any) -> PoolManager:
    """Return pools for any number of hosts, which connect by the policy; None: anywhere."""
    pools = PoolManager(**options)
    if addresses is not None:
        # urllib3 calls them, and asks nothing else of them.
        made: Any = {
            "http": partial(GuardedHttpPool, addresses=addresses),
            "https": partial(GuardedHttpsPool, addresses=addresses),
        }
        pools.pool_classes_by_scheme = made
    return pools
