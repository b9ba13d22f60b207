"""Requests with a bearer token, over pools of connections that any number of threads share."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.providers.google_drive.settings import DriveSettings
from mixsync_dagster.transport.http import HttpAnswer
from mixsync_dagster.transport.origins import Origin, Pools
from mixsync_dagster.transport.tokens import Tokens, authorized

_GOOGLES = (".googleapis.com", ".googleusercontent.com", ".google.com")


class Sender:
    """Sends requests of one account. Nothing is repeated, but once with a new token where the service wants one."""

    def __init__(self, settings: DriveSettings, tokens: Tokens) -> None:
        self._tokens = tokens
        self._api_host = urlsplit(settings.api_endpoint).netloc
        self._pools = Pools(settings)

    def send(self, method: str, uri: str, headers: Mapping[str, str]) -> HttpAnswer:
        """Return the answer, whatever its status; its body is still to be read.

        Raises ProviderUnavailable when nobody answers, AccessDenied when there is no token to be had,
        ConfigurationError for an address that is none of Google's nor the API's own: no token goes there.
        """
        parts = urlsplit(uri)
        host = parts.hostname or ""
        if parts.netloc != self._api_host and not (parts.scheme == "https" and f".{host}".endswith(_GOOGLES)):
            raise ConfigurationError(f"Google Drive names an address at {host}, where no token is sent to.")
        origin = Origin.of(uri)
        if origin is None:
            raise ConfigurationError(f"Google Drive names an address at {host} that is none of the web's.")
        pool = self._pools.of(origin)
        target = parts.path + (f"?{parts.query}" if parts.query else "")

        def send(token: str) -> HttpAnswer:
            return pool.send(method, target, {**headers, "Authorization": f"Bearer {token}"})

        return authorized(self._tokens, send)

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        self._pools.close()
