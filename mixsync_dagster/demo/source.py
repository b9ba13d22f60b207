"""A server of the S3 protocol on loopback, in a process of its own, and the files that it holds."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.util import find_spec
from urllib.parse import quote, urlencode, urlsplit

from mixsync_dagster.demo.samples import Sample
from mixsync_dagster.errors import ConfigurationError, MixsyncError

BUCKET = "demo-media"
_SERVER = """
import os, sys, threading
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server
class Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    def log(self, *args): pass
app = DomainDispatcherApplication(create_backend_app)
server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
print(server.port, flush=True)
def end_with_parent():
    sys.stdin.read()
    os._exit(0)
threading.Thread(target=end_with_parent, daemon=True).start()
server.serve_forever()
"""
# Its standard input ends when the demo does, however that happens.
_SPEAKER = "AWS4-HMAC-SHA256 Credential=AKIADEMO/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=none"
_STOP_SECONDS = 5.0
_ANSWER_SECONDS = 20.0
_OK = range(200, 300)


@dataclass(frozen=True, slots=True)
class Source:
    """The running server and its one bucket."""

    endpoint_url: str

    def put(self, sample: Sample) -> None:
        """Write a file with its tags and metadata. Raises MixsyncError."""
        headers = {f"x-amz-meta-{name}": value for name, value in sample.metadata.items()}
        headers["Content-Type"] = sample.mime_type
        if sample.tags:
            headers["x-amz-tagging"] = urlencode(sample.tags)
        self._ask("PUT", f"/{BUCKET}/{quote(sample.key)}", sample.content, headers)

    def delete(self, key: str) -> None:
        """Remove a file. Raises MixsyncError."""
        self._ask("DELETE", f"/{BUCKET}/{quote(key)}", b"", {})

    def make_bucket(self) -> None:
        """Make the bucket. Raises MixsyncError."""
        self._ask("PUT", f"/{BUCKET}", b"", {})

    def _ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> None:
        # The server asks who is speaking and takes any signature, so that no client library is needed here.
        headers = {**headers, "Authorization": _SPEAKER}
        connection = HTTPConnection(urlsplit(self.endpoint_url).netloc, timeout=_ANSWER_SECONDS)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            answer.read()
        except OSError as error:
            raise MixsyncError(f"the demo's S3 server does not answer ({type(error).__name__}).") from error
        finally:
            connection.close()
        if answer.status not in _OK:
            raise MixsyncError(f"the demo's S3 server refused {method} {path} with status {answer.status}.")


@contextmanager
def s3_server() -> Iterator[Source]:
    """Give a server on a free loopback port with an empty bucket; it ends with the block.

    Raises ConfigurationError when its package is not installed, MixsyncError when it does not start.
    """
    if find_spec("moto") is None or find_spec("flask") is None:
        raise ConfigurationError(
            "the demo's S3 server is not installed; "
            "run `pip install 'mixsync-dagster[demo]'`, or sync a storage of yours."
        )
    # A session of its own: Ctrl-C ends the demo, which then stops the server.
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", _SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 - asked for above
        port = process.stdout.readline().strip()
        if not port:
            raise MixsyncError("the demo's S3 server did not start; is moto[server] installed completely?")
        source = Source(f"http://127.0.0.1:{port.decode()}")
        source.make_bucket()
        yield source
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a process that was started here; one that has ended already stays so."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
