"""A pool of connections to one origin that sends exactly the target it is given.

Object keys may hold `//`, `.` and `..`; URL libraries tidy those away, and then another object is read. Nothing here
normalises, follows redirects, decodes content or repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, IncompleteRead
from math import isfinite
from typing import Any, BinaryIO

import urllib3
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError, InsecureRequestWarning, ProtocolError

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster.transport.dialing import GuardedHttpPool, GuardedHttpsPool
from mixsync_dagster.transport.redact import summary

_RECEIVE_BYTES = 256 * 1024
_NO_CONTENT = frozenset({204, 304})


class TruncatedBody(ProviderUnavailable):
    """The connection ended before the announced length; an item's reader says ItemCorrupt instead."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """How to connect to one origin."""

    scheme: str
    host: str
    port: int
    verify: bool | str = True
    """False: any certificate is taken; a path: only certificates signed by this bundle."""
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 60.0
    """Longest silence on an open connection, not the longest answer."""
    max_connections: int = 256
    """Connections kept open between requests; more may exist while more threads ask at once."""
    addresses: AddressPolicy | None = None
    """Where connections may go; None: anywhere, as suits a host that no user named."""


class HttpAnswer:
    """Status and headers of an answer whose body has not been read yet. Close it, or read it to its end."""

    def __init__(self, response: urllib3.BaseHTTPResponse, host: str, method: str) -> None:
        self._response = response
        self._host = host
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        announced = response.headers.get("Content-Length", "")
        bodiless = method == "HEAD" or response.status in _NO_CONTENT
        # A superscript is a digit to Python, and no number.
        told = announced.isascii() and announced.isdecimal()
        self.announced_bytes: int | None = 0 if bodiless else int(announced) if told else None
        """Length of the body that is still to come; None when the answer does not tell."""

    def read(self) -> bytes:
        """Return the whole body. Raises TruncatedBody, ProviderUnavailable."""
        return b"".join(self.chunks(_RECEIVE_BYTES))

    def chunks(self, chunk_bytes: int, expired: Callable[[], bool] = lambda: False) -> Generator[bytes]:
        """Yield the body in pieces of `chunk_bytes` (the last may be shorter).

        `expired` is asked after every receive, since a read timeout never ends an answer that trickles. Raises
        TruncatedBody when the connection ends early or the body is longer than announced, ProviderUnavailable when
        nothing comes within the read timeout or `expired` says so. Closing the iterator early drops the connection.
        """
        received = 0
        waiting: list[bytes] = []
        held = 0
        done = False
        try:
            while piece := self._receive():
                received += len(piece)
                held += len(piece)
                waiting.append(piece)
                if expired():
                    raise ProviderUnavailable(f"{self._host} sent its answer too slowly ({received} bytes so far).")
                if held >= chunk_bytes:
                    yield b"".join(waiting)
                    waiting, held = [], 0
            if self.announced_bytes is not None and received != self.announced_bytes:
                raise TruncatedBody(
                    f"{self._host} announced {self.announced_bytes} bytes and the connection ended after {received}."
                )
            done = True
            if waiting:
                yield b"".join(waiting)
        finally:
            if not done:
                self._response.close()
            self._response.release_conn()

    def close(self) -> None:
        """Drop the connection of a body that nobody wants. Twice is harmless."""
        self._response.close()
        self._response.release_conn()

    def _receive(self) -> bytes:
        try:
            return self._response.read1(_RECEIVE_BYTES)
        except (ProtocolError, IncompleteRead, ConnectionError) as error:
            raise TruncatedBody(f"The connection to {self._host} broke inside an answer ({summary(error)}).") from None
        except (HTTPError, HTTPException, OSError) as error:
            raise ProviderUnavailable(f"{self._host} stopped answering ({summary(error)}).") from None


class HttpPool:
    """Connections to one origin; for any number of threads."""

    def __init__(self, settings: HttpSettings) -> None:
        self._host = settings.host
        timeout = urllib3.Timeout(connect=settings.connect_timeout_seconds, read=settings.read_timeout_seconds)
        self._pool: HTTPConnectionPool
        if settings.verify is False:
            # The connection's owner said so; a warning with every request would only drown the log.
            urllib3.disable_warnings(InsecureRequestWarning)
        options: dict[str, Any] = {"timeout": timeout, "maxsize": settings.max_connections}
        if settings.addresses is not None:
            options["addresses"] = settings.addresses
        if settings.scheme == "https":
            pool = HTTPSConnectionPool if settings.addresses is None else GuardedHttpsPool
            self._pool = pool(
                settings.host,
                settings.port,
                cert_reqs="CERT_NONE" if settings.verify is False else "CERT_REQUIRED",
                ca_certs=settings.verify if isinstance(settings.verify, str) else None,
                **options,
            )
        else:
            plain = HTTPConnectionPool if settings.addresses is None else GuardedHttpPool
            self._pool = plain(settings.host, settings.port, **options)

    def send(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes | BinaryIO | None = None
    ) -> HttpAnswer:
        """Send one request and return its answer, whatever its status.

        `target` is path and query, percent-encoded, and goes over the wire as it is. A `body` that is a file is sent
        from its position on, a piece at a time; `headers` have to tell its Content-Length. Raises ProviderUnavailable
        when the origin cannot be reached or ends the connection without an answer, AddressRefused by `addresses`.
        """
        try:
            response = self._pool.urlopen(
                method,
                target,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                decode_content=False,
                assert_same_host=False,
            )
        except (HTTPError, HTTPException, OSError) as error:
            message = f"{self._host} cannot be reached or does not answer ({summary(error)})."
            raise ProviderUnavailable(message) from None
        return HttpAnswer(response, self._host, method)

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        self._pool.close()


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Return the wait that a Retry-After header asks for: seconds or an HTTP date; None when absent or unreadable.

    Finite and at least 0, and as long as the header says: the caller bounds it.
    """
    if value is None:
        return None
    text = value.strip()
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if isfinite(seconds) else None
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())
