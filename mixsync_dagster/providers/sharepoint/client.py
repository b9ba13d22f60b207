"""Requests to Microsoft Graph, and to the pre-authenticated addresses that it hands out for bytes.

Nothing is repeated but a request whose token Graph refuses, once, with a new token. Links of answers are followed only
to where the connection points: whoever could write into an answer must not send this machine, or its token, elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from mixsync_dagster.errors import ConfigurationError, ProviderUnavailable
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.sharepoint.errors import Refusal
from mixsync_dagster.providers.sharepoint.settings import SharePointSettings
from mixsync_dagster.providers.sharepoint.tokens import TokenSource, granted_by
from mixsync_dagster.transport.answers import error_body
from mixsync_dagster.transport.http import HttpAnswer
from mixsync_dagster.transport.origins import Origin, Pools
from mixsync_dagster.transport.tokens import authorized

_OK = 200
# Microsoft's guidance on throttling asks for this form, and serves undecorated traffic last.
_USER_AGENT = "NONISV|mixsync-dagster|mixsync/1.0"
_SHAREPOINT_DOMAINS = (".sharepoint.com", ".sharepoint.us", ".sharepoint-mil.us", ".sharepoint.cn")


class GraphClient:
    """One connection; for any number of threads. Nothing is cached but connections and the token."""

    def __init__(self, settings: SharePointSettings, clock: Clock) -> None:
        self._settings = settings
        self._endpoint = settings.graph
        self._base = urlsplit(settings.graph_endpoint).path
        self._tokens = TokenSource(settings, clock)
        self._pools = Pools(settings)

    @property
    def place(self) -> str:
        """Graph's host and port, for messages."""
        return self._endpoint.authority

    def get(self, link: str, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Return the JSON object behind a path below the endpoint ("/sites/root") or a link that Graph gave.

        Raises Refusal for an answer that is not a success, ProviderUnavailable when there is none or it is no JSON
        object, ConfigurationError for a link to elsewhere, and what fetching a token raises.
        """
        answer = self.send(link, headers)
        if answer.status != _OK:
            raise self.refusal_of(answer)
        try:
            body = json.loads(answer.read())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            # Seen at the real service under load: status 200 and an empty body, or one that is no JSON.
            raise ProviderUnavailable(f"{self.place} answered with a body that is no JSON object.")
        return body

    def send(self, link: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Send one GET request and return the answer, whatever its status; redirects are not followed."""
        target = self._target(link)
        return authorized(self._tokens, lambda token: self._send_as(token, target, headers))

    def download(self, url: str, web_url: str, headers: Mapping[str, str] | None = None) -> HttpAnswer:
        """Send one GET request to a pre-authenticated address, without a token, and return the answer.

        The address has to be at the connection's endpoint, or at the SharePoint host that the item's own `web_url`
        names. Raises ConfigurationError for any other, ProviderUnavailable when nobody answers.
        """
        origin = Origin.of(url)
        if origin is None or not (origin == self._endpoint or _of_tenant(origin, web_url)):
            raise ConfigurationError(
                f"{self.place} names another host than its own and the tenant's SharePoint as the place of a file's "
                "bytes; they are not fetched there."
            )
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return self._pools.of(origin).send("GET", target, {"Host": origin.authority, **(headers or {})})

    def refusal_of(self, answer: HttpAnswer) -> Refusal:
        """Return what an answer that is not a success says, and free its connection."""
        code = _code_in(error_body(answer))
        granted = granted_by(self._tokens.current()) if answer.status == 403 else ""  # noqa: PLR2004 - Forbidden
        return Refusal(answer.status, code, answer.headers.get("Retry-After"), granted)

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        self._pools.close()
        self._tokens.close()

    def _send_as(self, token: str, target: str, headers: Mapping[str, str] | None) -> HttpAnswer:
        own = {"Host": self._endpoint.authority, "Authorization": f"Bearer {token}", "Accept": "application/json"}
        own["User-Agent"] = _USER_AGENT
        return self._pools.of(self._endpoint).send("GET", target, {**own, **(headers or {})})

    def _target(self, link: str) -> str:
        if link.startswith("/"):
            return self._base + link
        if Origin.of(link) != self._endpoint:
            raise ConfigurationError(
                f"graph_endpoint: {self.place} answered with a link to another host; links are followed at "
                f"{self.place} only."
            )
        parts = urlsplit(link)
        return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def segment(name: str) -> str:
    """Return one part of a path (an id, a folder's name) percent-encoded, so that it stays one part."""
    return quote(name, safe="!,:")


def _of_tenant(origin: Origin, web_url: str) -> bool:
    own = Origin.of(web_url)
    return own == origin and origin.scheme == "https" and origin.port == 443 and _is_sharepoint(origin.host)  # noqa: PLR2004


def _is_sharepoint(host: str) -> bool:
    return host.endswith(_SHAREPOINT_DOMAINS)


def _code_in(body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        code = error["code"] if isinstance(error, dict) else error
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and len(code) <= 64 and code.isprintable() else ""  # noqa: PLR2004 - a name
