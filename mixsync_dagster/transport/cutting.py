"""Requests that end at a set time, whatever the server does.

Timeouts of sockets are for one receive: a server that sends a byte now and then, in a handshake, in a header or in a
body, is never too slow for them. Here a timer of the request's own ends its connection.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress

from mixsync_dagster.transport.dialing import GuardedConnection, GuardedTlsConnection
from mixsync_dagster.transport.http import HttpAnswer


class CuttableConnection(GuardedConnection):
    """A connection that another thread can end, whatever it is waiting for, a handshake included."""

    _wire: socket.socket | None = None
    _is_cut = False

    def _new_conn(self) -> socket.socket:
        connected = super()._new_conn()
        # TLS takes the socket over and hides it until the handshake is done.
        self._wire = connected.dup()
        if self._is_cut:
            connected.close()
            raise TimeoutError
        return connected

    def cut(self) -> None:
        """End it from any thread."""
        self._is_cut = True
        wire = self._wire
        if wire is not None:
            with suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End it in good order."""
        super().close()
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()


class CuttableTlsConnection(CuttableConnection, GuardedTlsConnection):
    """The same, over TLS."""


class TimedRequest:
    """One request on a connection of its own, cut off at the end of the time."""

    def __init__(self, connection: CuttableConnection, end: float) -> None:
        self._connection = connection
        self._over = threading.Event()
        self._timer = threading.Timer(max(0.0, end - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._answer: HttpAnswer | None = None

    @property
    def expired(self) -> bool:
        """Whether the time was over before the request was done."""
        return self._over.is_set()

    def send(self, target: str, headers: Mapping[str, str], *, read_seconds: float) -> HttpAnswer:
        """Send a GET and return its answer; raises what urllib3, the address policy and the system raise.

        `read_seconds` is the longest silence after the connection stands.
        """
        self._timer.start()
        self._connection.connect()
        self._connection.timeout = read_seconds
        self._connection.request("GET", target, headers=headers, preload_content=False, decode_content=False)
        self._answer = HttpAnswer(self._connection.getresponse(), self._connection.host, "GET")
        return self._answer

    def end(self) -> None:
        """Drop the connection and stop the clock. Twice is harmless."""
        self._timer.cancel()
        if self._answer is not None:
            self._answer.close()
        self._connection.close()

    def _cut(self) -> None:
        self._over.set()
        self._connection.cut()
