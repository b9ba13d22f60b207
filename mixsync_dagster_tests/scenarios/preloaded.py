"""The fork server of these tests: with the libraries of all providers, and names below localhost that resolve."""

from __future__ import annotations

import functools
import socket
from importlib import import_module
from typing import Any

from mixsync_dagster_tests.faults import fork_server

_LIBRARIES = (
    "dagster_snowflake",
    "google.oauth2.credentials",
    "google.oauth2.service_account",
    "googleapiclient.discovery",
    "mixsync_dagster.orchestration.instance",
    "mixsync_dagster.providers.google_drive.factory",
    "mixsync_dagster.providers.sharepoint.factory",
    "mixsync_dagster.providers.snowflake.factory",
    "mixsync_dagster.state.migrate",
    "msal",
    "snowflake.connector",
)


def resolve_local_names() -> None:
    """Let every name below localhost be this machine, as RFC 6761 says and not every resolver does."""
    known = socket.getaddrinfo

    @functools.wraps(known)
    def resolve(host: Any, *args: Any, **options: Any) -> Any:
        return known("127.0.0.1" if str(host).endswith(".localhost") else host, *args, **options)

    socket.getaddrinfo = resolve


if __name__ == "__main__":
    for name in _LIBRARIES:
        import_module(name)
    resolve_local_names()
    fork_server.main()
