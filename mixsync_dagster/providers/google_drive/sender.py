"""Requests with a bearer token, over pools of connections that any number of threads share."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Protocol
from urllib.parse import urlsplit

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.providers.google_drive.settings import DriveSettings
from mixsync_dagster.transport.http import HttpAnswer, HttpPool, HttpSettings

_PORTS = {"https": 443, "http": 80}
_GOOGLES = (".googleapis.com", ".googleusercontent.com", ".google.com")
_UNAUTHORIZED = 401


class Tokens(Protocol):
    """Where bearer tokens come from; called by many threads."""

    def current(self) -> str:
        """Return a token that has not expired."""
        ...

    def renewed(self, refused: str) -> str:
        """Return another token than the one that was refused before its time."""
        ...


class Sender:
    """Sends requests of one account. Nothing is repeated, but once with a new token where the service wants one."""

    def __init__(self, settings: DriveSettings, tokens: Tokens) -> None:
        self._settings = settings
        self._tokens = tokens
        self._api_host = urlsplit(settings.api_endpoint).netloc
        self._pools: dict[tuple[str, str], HttpPool] = {}
        self._lock = threading.Lock()

    def send(self, method: str, uri: str, headers: Mapping[str, str]) -> HttpAnswer:
        """Return the answer, whatever its status; its body is still to be read.

        Raises ProviderUnavailable when nobody answers, AccessDenied when there is no token to be had,
        ConfigurationError for an address that is none of Google's nor the API's own: no token goes there.
        """
        parts = urlsplit(uri)
        host = parts.hostname or ""
        if parts.netloc != self._api_host and not (parts.scheme == "https" and f".{host}".endswith(_GOOGLES)):
            raise ConfigurationError(f"Google Drive names an address at {host}, where no token is sent to.")
        pool = self._pool(parts.scheme, parts.netloc, host, parts.port or _PORTS[parts.scheme])
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        token = self._tokens.current()
        answer = pool.send(method, target, {**headers, "Authorization": f"Bearer {token}"})
        if answer.status != _UNAUTHORIZED:
            return answer
        # Revoked, or expired by another clock than ours.
        answer.close()
        token = self._tokens.renewed(token)
        return pool.send(method, target, {**headers, "Authorization": f"Bearer {token}"})

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()

    def _pool(self, scheme: str, netloc: str, host: str, port: int) -> HttpPool:
        with self._lock:
            pool = self._pools.get((scheme, netloc))
            if pool is None:
                settings = self._settings
                pool = self._pools[scheme, netloc] = HttpPool(
                    HttpSettings(
                        scheme,
                        host,
                        port,
                        verify=settings.verify,
                        connect_timeout_seconds=settings.connect_timeout_seconds,
                        read_timeout_seconds=settings.read_timeout_seconds,
                        max_connections=settings.max_connections,
                    )
                )
            return pool
