"""Who reads the pages: our providers, the vendors' own way, and whoever only takes the bytes."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from mixsync_dagster_tests.benchmarks.pages_server import DRIVE_ROWS, LIBRARY

OURS = "mixsync"
BYTES = "bytes alone"
"""Reads the same pages and looks at none of them: how fast the server is."""

Reader = Callable[[int, int], Iterator[int]]
"""(port, files) -> how many files each page told."""


def _drive_provider(port: int) -> Any:
    from mixsync_dagster.model.paths import parse_drive_path
    from mixsync_dagster.providers.google_drive.provider import GoogleDriveProvider
    from mixsync_dagster.providers.google_drive.settings import DriveSettings
    from mixsync_dagster.transport.clock import SystemClock

    account = {"type": "oauth", "client_id": "c", "client_secret": "of-no-value", "refresh_token": "of-no-value"}
    settings = DriveSettings(
        place=parse_drive_path("/"),
        account={**account, "token_uri": f"http://127.0.0.1:{port}/token"},
        api_endpoint=f"http://127.0.0.1:{port}/drive/v3/",
    )
    return closing(GoogleDriveProvider(settings, SystemClock()))


def _graph_provider(port: int) -> Any:
    from mixsync_dagster.providers.sharepoint.provider import SharePointProvider
    from mixsync_dagster.providers.sharepoint.settings import SharePointSettings
    from mixsync_dagster.transport.clock import SystemClock

    settings = SharePointSettings(
        tenant_id="11111111-2222-3333-4444-555555555555",
        client_id="c",
        client_secret="of-no-value",
        drive_id=LIBRARY,
        graph_endpoint=f"http://127.0.0.1:{port}/v1.0",
        authority_host=f"http://127.0.0.1:{port}",
    )
    return closing(SharePointProvider(settings, SystemClock()))


def _listed(opened: Callable[[int], Any]) -> Reader:
    def read(port: int, _files: int) -> Iterator[int]:
        with opened(port) as provider:
            for page in provider.list_pages():
                yield page.items.num_rows

    return read


def _changed(opened: Callable[[int], Any]) -> Reader:
    def read(port: int, _files: int) -> Iterator[int]:
        with opened(port) as provider:
            for page in provider.changes(provider.head()):
                yield page.items.num_rows

    return read


def _google_client(port: int) -> Any:
    import httplib2
    from googleapiclient.discovery import build

    endpoint = f"http://127.0.0.1:{port}/drive/v3/"
    options = {"api_endpoint": endpoint}
    return build(
        "drive", "v3", http=httplib2.Http(), static_discovery=True, cache_discovery=False, client_options=options
    )


def _google_listing(port: int, _files: int) -> Iterator[int]:
    with closing(_google_client(port)) as service:
        files = service.files()
        request = files.list(q="mimeType != 'x' and trashed = false", pageSize=DRIVE_ROWS, corpora="user")
        while request is not None:
            answer = request.execute()
            yield len(answer["files"])
            request = files.list_next(request, answer)


def _google_changes(port: int, _files: int) -> Iterator[int]:
    with closing(_google_client(port)) as service:
        changes = service.changes()
        request = changes.list(pageToken=changes.getStartPageToken().execute()["startPageToken"], pageSize=DRIVE_ROWS)
        while request is not None:
            answer = request.execute()
            yield len(answer["changes"])
            request = changes.list_next(request, answer)


def _httpx_delta(first: str) -> Reader:
    def read(port: int, _files: int) -> Iterator[int]:
        import httpx

        link: str | None = f"http://127.0.0.1:{port}/v1.0/drives/{LIBRARY}/root/delta{first}"
        with httpx.Client(headers={"Authorization": "Bearer of-no-value"}) as client:
            while link is not None:
                answer = client.get(link).json()
                yield sum("file" in entry for entry in answer["value"])
                link = answer.get("@odata.nextLink")

    return read


def _bytes(path: str, rows: int) -> Reader:
    def read(port: int, files: int) -> Iterator[int]:
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            for number in range(-(-files // rows)):
                connection.request("GET", path.format(number))
                connection.getresponse().read()
                yield min(rows, files - number * rows)

    return read


READERS: Mapping[str, Mapping[str, Reader]] = {
    "drive-listing": {
        OURS: _listed(_drive_provider),
        "google-api-python-client": _google_listing,
        BYTES: _bytes("/drive/v3/files?q=%21%3D&pageToken={}", 1000),
    },
    "drive-changes": {
        OURS: _changed(_drive_provider),
        "google-api-python-client": _google_changes,
        BYTES: _bytes("/drive/v3/changes?pageToken={}", 1000),
    },
    "graph-listing": {
        OURS: _listed(_graph_provider),
        "httpx": _httpx_delta(""),
        BYTES: _bytes(f"/v1.0/drives/{LIBRARY}/root/delta?$skiptoken={{}}", 200),
    },
    "graph-changes": {
        OURS: _changed(_graph_provider),
        "httpx": _httpx_delta("?token=c-0"),
        BYTES: _bytes(f"/v1.0/drives/{LIBRARY}/root/delta?$skiptoken=c-{{}}", 200),
    },
}
"""The readers of each scenario; the first is ours."""
