"""Serves the API with one tenant's library in it: `python -m mixsync_dagster_tests.api_fuzz.library_server FOLDER`.

Prints one line of JSON (url, key, known) and serves until its input ends. Made-up hosts of made-up connections are not
asked for: this process resolves no name, and reaches nothing but this machine.
"""

from __future__ import annotations

import json
import logging
import socket
import sys
from pathlib import Path
from typing import Any

from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.demo.source import BUCKET, s3_server
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.api.serving import Client, connection_body, make_key, make_library, serving

NAMESPACE = "alpha"
LOOPBACK = {None, "", "localhost", "127.0.0.1", "::1"}


def stay_here() -> None:
    """Let nothing in this process find another machine."""
    find = socket.getaddrinfo

    def find_here(host: Any, *arguments: Any, **options: Any) -> Any:
        name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
        if name in LOOPBACK:
            return find(host, *arguments, **options)
        raise socket.gaierror(socket.EAI_NONAME, "this test stays on its machine")

    socket.getaddrinfo = find_here


def known_of(ask: Client, library: Any, endpoint_url: str) -> dict[str, Any]:
    """Return what requests are led to: what stays, and what may be deleted."""
    spare = ask.done("POST", "/v1/connections", connection_body(endpoint_url, "spare"))["connection_id"]
    body = {"connection_id": library.connection_id, "source_path": BUCKET}
    sync = ask.done("POST", library.syncs, body)["sync_config_id"]
    used = {
        "bucket_id": library.bucket_id,
        "sync_config_id": library.sync_id,
        "sync_job_id": library.run_id,
        "object_id": library.object_id,
        "blob_property": "content",
        "batch_id": library.batch_id,
        "connection_identifier": library.connection_id,
        "connection_id": library.connection_id,
        "source_path": BUCKET,
        "X-Namespace": NAMESPACE,
        "namespace": NAMESPACE,
    }
    return {"used": used, "deleted": {**used, "sync_config_id": sync, "connection_identifier": spare}}


def main(folder: Path) -> None:
    """Serve."""
    stay_here()
    logging.disable(logging.CRITICAL)
    with s3_server() as source:
        source.put(Sample("films/a.txt", b"0123456789", "text/plain", metadata={"owner": "ana"}))
        source.put(Sample("films/b [x].txt", b"beta", "text/plain", metadata={"owner": "ben"}))
        source.put(Sample("other/c.txt", b"gamma", "text/plain"))
        # Judges ask faster than any client may.
        settings = Settings(
            home=folder / "home",
            database_url=f"sqlite:///{folder}/home/state.db",
            check_seconds=5,
            allowed_addresses=("127.0.0.1",),
            api_requests_per_minute=0,
        )
        Services.init(settings)
        with Services.open(settings) as services, serving(services) as url:
            key = make_key(services, NAMESPACE)
            ask = Client(url, key)
            known = known_of(ask, make_library(services, ask, source.endpoint_url), source.endpoint_url)
            print(json.dumps({"url": url, "key": key, "known": known}), flush=True)  # noqa: T201 - for who started it
            sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
