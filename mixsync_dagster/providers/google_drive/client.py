"""Requests of the Drive API as Google's own client makes them, and tokens by Google's own sign-in.

The only module of this provider that imports a vendor's library. It returns plain data and raises our errors or
Refusal. The client library is given our connections to send by: its own are neither for many threads nor able to hand
out a body before the whole of it is in memory.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import google.auth.exceptions
import google.auth.transport
import google.oauth2.credentials
import google.oauth2.service_account
import httplib2
import urllib3
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from mixsync_dagster.errors import ConfigurationError, ProviderUnavailable
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.google_drive.errors import Refusal, refusal_of, token_error
from mixsync_dagster.providers.google_drive.sender import Sender
from mixsync_dagster.providers.google_drive.settings import DriveSettings
from mixsync_dagster.transport.answers import sign_in_error
from mixsync_dagster.transport.dialing import pool_manager
from mixsync_dagster.transport.http import HttpAnswer
from mixsync_dagster.transport.redact import summary
from mixsync_dagster.transport.tokens import SHELF, KeptTokens, Token, key_of

SCOPE = "https://www.googleapis.com/auth/drive.readonly"

_OK = 200
_SIGN_IN = "Google's sign-in"
_GZIP = 16 + zlib.MAX_WBITS
_ABOUT_BODY = frozenset({"content-length", "content-type", "x-http-method-override"})
_PLAIN = {"accept-encoding": "identity", "user-agent": "mixsync"}


class DriveClient:
    """One account at the Drive API; for any number of threads. Nothing is repeated, nothing cached but connections."""

    def __init__(self, settings: DriveSettings, clock: Clock) -> None:
        self._sender = Sender(settings, GoogleTokens(settings, clock))
        # The description of the API comes with the package: no request is made for it.
        service = build(
            "drive",
            "v3",
            http=_Http(self._sender),
            static_discovery=True,
            cache_discovery=False,
            client_options={"api_endpoint": settings.api_endpoint},
        )
        self._files, self._changes = service.files(), service.changes()
        self._drives, self._operations = service.drives(), service.operations()

    def list_files(self, **options: Any) -> Mapping[str, Any]:
        """Return one page of files.list, shared drives included. Raises Refusal, ProviderUnavailable, AccessDenied."""
        return _answer(self._files.list(supportsAllDrives=True, includeItemsFromAllDrives=True, **options))

    def get_file(self, file_id: str, fields: str, resource_key: str | None = None) -> Mapping[str, Any]:
        """Return metadata of one file; raises as `list_files`."""
        request = self._files.get(fileId=file_id, fields=fields, supportsAllDrives=True)
        return _answer(_keyed(request, file_id, resource_key))

    def get_drive(self, drive_id: str) -> Mapping[str, Any]:
        """Return id and name of a shared drive; raises as `list_files`."""
        return _answer(self._drives.get(driveId=drive_id, fields="id,name"))

    def start_token(self, drive_id: str | None) -> str:
        """Return the present end of the account's log or of a shared drive's; raises as `list_files`."""
        answer = _answer(self._changes.getStartPageToken(supportsAllDrives=True, **_of_drive(drive_id)))
        token = answer.get("startPageToken")
        if not isinstance(token, str) or not token:
            raise ProviderUnavailable("Google Drive answered without the position that was asked for.")
        return token

    def list_changes(self, token: str, drive_id: str | None, **options: Any) -> Mapping[str, Any]:
        """Return one page of a log behind a position; raises as `list_files`."""
        request = self._changes.list(
            pageToken=token,
            includeRemoved=True,
            supportsAllDrives=True,
            includeItemsFromAllDrives=True,
            **_of_drive(drive_id),
            **options,
        )
        return _answer(request)

    def open_media(self, file_id: str, resource_key: str | None = None) -> HttpAnswer:
        """Return the answer that carries a file's bytes, to be read. Raises as `list_files`."""
        return self._open(_keyed(self._files.get_media(fileId=file_id, supportsAllDrives=True), file_id, resource_key))

    def open_export(self, file_id: str, mime_type: str, resource_key: str | None = None) -> HttpAnswer:
        """Return the answer that carries a document's export, to be read. Raises as `list_files`."""
        return self._open(_keyed(self._files.export_media(fileId=file_id, mimeType=mime_type), file_id, resource_key))

    def start_download(self, file_id: str, mime_type: str, resource_key: str | None = None) -> Mapping[str, Any]:
        """Return the long-running operation that makes a document's export, begun now; raises as `list_files`."""
        return _answer(_keyed(self._files.download(fileId=file_id, mimeType=mime_type), file_id, resource_key))

    def get_operation(self, name: str) -> Mapping[str, Any]:
        """Return a long-running operation as it stands; raises as `list_files`."""
        return _answer(self._operations.get(name=name))

    def open_address(self, uri: str) -> HttpAnswer:
        """Return the answer of an address that an operation named, to be read. Raises as `list_files`."""
        return _successful(self._sender.send("GET", uri, _PLAIN))

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        self._sender.close()

    def _open(self, request: Any) -> HttpAnswer:
        return _successful(self._sender.send(request.method, request.uri, {**request.headers, **_PLAIN}))


def _of_drive(drive_id: str | None) -> dict[str, str]:
    return {} if drive_id is None else {"driveId": drive_id}


def _keyed(request: Any, file_id: str, resource_key: str | None) -> Any:
    if resource_key:
        request.headers["X-Goog-Drive-Resource-Keys"] = f"{file_id}/{resource_key}"
    return request


def _answer(request: Any) -> Mapping[str, Any]:
    try:
        answer = request.execute(num_retries=0)
    except HttpError as error:
        raise refusal_of(int(error.resp.status), error.resp, error.content) from None
    except ValueError:
        raise ProviderUnavailable("Google Drive answered with something that is no JSON.") from None
    if not isinstance(answer, dict):
        raise ProviderUnavailable("Google Drive answered with something that is no JSON object.")
    return answer


def _successful(answer: HttpAnswer) -> HttpAnswer:
    if answer.status == _OK:
        return answer
    raise refusal_of(answer.status, answer.headers, answer.read())


class _Http:
    """What the client library sends its requests by, in the form of httplib2.Http."""

    def __init__(self, sender: Sender) -> None:
        self._sender = sender

    def request(
        self, uri: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None, **_: Any
    ) -> tuple[httplib2.Response, bytes]:
        """Send one request and return the whole answer."""
        if body:
            # The library moves a query of over 2 KiB into the body of a POST that stands for a GET.
            uri, method = f"{uri}?{body}", "GET"
        kept = {name: value for name, value in (headers or {}).items() if name.lower() not in _ABOUT_BODY}
        answer = self._sender.send(method, uri, kept)
        content = answer.read()
        if answer.headers.get("Content-Encoding") == "gzip":
            try:
                content = zlib.decompress(content, _GZIP)
            except zlib.error:
                raise ProviderUnavailable("Google Drive answered with something that cannot be unpacked.") from None
        return httplib2.Response({**answer.headers, "status": str(answer.status)}), content


class GoogleTokens:
    """Bearer tokens of a service account or of a user's consent, renewed when their time is over."""

    def __init__(self, settings: DriveSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._request = _TokenRequest(settings, clock)
        self._credentials = _credentials(settings)
        key = key_of(settings.connection_id, sorted(settings.account.items()), settings.impersonate_user)
        self._kept = KeptTokens(self._fetch, clock, SHELF.slot(key))

    def current(self) -> str:
        """Return a token that has not expired. Raises AccessDenied, RateLimited, ProviderUnavailable."""
        return self._kept.current()

    def renewed(self, refused: str) -> str:
        """Return another token than the refused one; of many threads with the same one, the first renews it."""
        return self._kept.renewed(refused)

    def _fetch(self) -> Token:
        self._refresh()
        return Token.lasting(str(self._credentials.token), self._request.lifetime_seconds, self._clock)

    def _refresh(self) -> None:
        settings = self._settings
        try:
            self._credentials.refresh(self._request)
        except google.auth.exceptions.RefreshError as error:
            told = error.args[1] if len(error.args) > 1 else None
            raise token_error(
                str(told.get("error", "")) if isinstance(told, dict) else "",
                settings_type=str(settings.account["type"]),
                who=settings.who,
                subject=settings.impersonate_user,
                scope=SCOPE,
            ) from None
        except google.auth.exceptions.GoogleAuthError as error:
            raise ProviderUnavailable(f"Google's sign-in gave no token ({summary(error)}).") from None


def _credentials(settings: DriveSettings) -> Any:
    account = settings.account
    if account["type"] == "oauth":
        # No scopes: the token has those of the consent, and asking for others than these is refused.
        return google.oauth2.credentials.Credentials(  # type: ignore[no-untyped-call]
            token=None,
            refresh_token=account["refresh_token"],
            client_id=account["client_id"],
            client_secret=account["client_secret"],
            token_uri=account["token_uri"],
        )
    try:
        return google.oauth2.service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
            {**account, "type": "service_account"}, scopes=[SCOPE], subject=settings.impersonate_user
        )
    except (ValueError, TypeError, google.auth.exceptions.GoogleAuthError):
        raise ConfigurationError(
            "credentials.private_key: the key cannot be read; give the private_key of the service account's JSON file."
        ) from None


@dataclass(frozen=True, slots=True)
class _TokenAnswer:
    """An answer in the form that Google's sign-in library reads."""

    status: int
    headers: Mapping[str, str]
    data: bytes


class _TokenRequest(google.auth.transport.Request):
    """Sends token requests. What the library would repeat in its own time becomes an error of ours at once."""

    def __init__(self, settings: DriveSettings, clock: Clock) -> None:
        self._clock = clock
        trusted = settings.verify if isinstance(settings.verify, str) else None
        timeout = urllib3.Timeout(connect=settings.connect_timeout_seconds, read=settings.read_timeout_seconds)
        self._pools = pool_manager(settings.addresses, timeout=timeout, ca_certs=trusted)

    def __call__(
        self,
        url: Any,
        method: Any = "GET",
        body: Any = None,
        headers: Any = None,
        timeout: Any = None,
        **_: Any,
    ) -> _TokenAnswer:
        del timeout  # ours is that of the connection
        try:
            answer = self._pools.request(method, url, body=body, headers=headers, retries=False, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise ProviderUnavailable(f"Google's sign-in cannot be reached ({summary(error)}).") from None
        retry_after = answer.headers.get("Retry-After")
        if failed := sign_in_error(answer.status, retry_after, who=_SIGN_IN, now=self._clock.now()):
            raise failed
        told = _object_in(answer.data)
        if told is None:
            refusal = Refusal(answer.status, "", retry_after)
            raise ProviderUnavailable(f"{_SIGN_IN} failed to answer ({refusal}).")
        lifetime = told.get("expires_in")
        self.lifetime_seconds = float(lifetime) if isinstance(lifetime, int | float) else 0.0
        return _TokenAnswer(answer.status, answer.headers, answer.data)


def _object_in(data: bytes) -> dict[str, Any] | None:
    try:
        told = json.loads(data)
    except ValueError:
        return None
    return told if isinstance(told, dict) else None
