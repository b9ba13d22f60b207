"""The server: requests told apart, faults applied, answers sent as the service sends them."""

from __future__ import annotations

import json
import math
import re
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from mixsync_dagster.testing.mixpeek_simulator import batches, objects, uploads
from mixsync_dagster.testing.mixpeek_simulator.answers import Answer, Refused, Request
from mixsync_dagster.testing.mixpeek_simulator.faults import DOWNLOAD, PUT, Fault

if TYPE_CHECKING:
    from mixsync_dagster.testing.mixpeek_simulator.books import Bucket
    from mixsync_dagster.testing.mixpeek_simulator.simulator import MixpeekSimulator

_BACKLOG = 512
_BUCKET = r"/v1/buckets/(?P<bucket>[^/]+)"
_ID = r"/(?P<id>[^/]+)"
_ROUTES: tuple[tuple[str, str, str], ...] = (
    ("bucket_create", "POST", "/v1/buckets"),
    ("bucket_get", "GET", _BUCKET),
    ("upload_create", "POST", _BUCKET + "/uploads"),
    ("upload_batch", "POST", _BUCKET + "/uploads/batch"),
    ("upload_confirm_batch", "POST", _BUCKET + "/uploads/confirm/batch"),
    ("upload_confirm", "POST", _BUCKET + "/uploads" + _ID + "/confirm"),
    ("upload_get", "GET", _BUCKET + "/uploads" + _ID),
    ("object_batch", "POST", _BUCKET + "/objects/batch"),
    ("object_list", "POST", _BUCKET + "/objects/list"),
    ("object_create", "POST", _BUCKET + "/objects"),
    ("object_get", "GET", _BUCKET + "/objects" + _ID),
    ("object_patch", "PATCH", _BUCKET + "/objects" + _ID),
    ("object_delete", "DELETE", _BUCKET + "/objects" + _ID),
    ("batch_list", "POST", _BUCKET + "/batches/list"),
    ("batch_submit", "POST", _BUCKET + "/batches" + _ID + "/submit"),
    ("batch_create", "POST", _BUCKET + "/batches"),
    ("batch_get", "GET", _BUCKET + "/batches" + _ID),
    ("batch_delete", "DELETE", _BUCKET + "/batches" + _ID),
    ("task_get", "GET", "/v1/tasks" + _ID),
    (PUT, "PUT", "/_store" + _ID),
    (DOWNLOAD, "GET", "/_store" + _ID + r"/(?P<blob>[^/]+)"),
)
_OF_A_BUCKET: Mapping[str, Callable[[Any, Any, Request], Answer]] = MappingProxyType(
    {
        "upload_create": uploads.create,
        "upload_batch": uploads.create_batch,
        "upload_confirm_batch": uploads.confirm_batch,
        "upload_confirm": uploads.confirm,
        "upload_get": uploads.get,
        "object_batch": objects.create_batch,
        "object_list": objects.listing,
        "object_create": objects.create,
        "object_get": objects.get,
        "object_patch": objects.patch,
        "object_delete": objects.delete,
        "batch_list": batches.listing,
        "batch_submit": batches.submit,
        "batch_create": batches.create,
        "batch_get": batches.get,
        "batch_delete": batches.delete,
    }
)
_STORE: Mapping[str, Callable[[Any, Request], Answer]] = MappingProxyType(
    {PUT: uploads.put, DOWNLOAD: objects.download}
)


class SimulatorServer(ThreadingHTTPServer):
    """Listens on a free port of loopback; every connection has a thread."""

    daemon_threads = True
    request_queue_size = _BACKLOG

    def __init__(self, simulator: MixpeekSimulator) -> None:
        self.simulator = simulator
        self._stopped = False
        super().__init__(("127.0.0.1", 0), _Connection)
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening. Twice is harmless."""
        if not self._stopped:
            self._stopped = True
            self.shutdown()
            self._thread.join()
            self.server_close()

    def handle_error(self, *_: object) -> None:
        """Stay silent: clients that hang up inside an answer are no event."""


class _Connection(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: SimulatorServer

    def log_message(self, *args: object) -> None:
        """The simulator has a log of its own."""

    def do_GET(self) -> None:
        """Answer a GET request."""
        self._serve()

    def do_POST(self) -> None:
        """Answer a POST request."""
        self._serve()

    def do_PUT(self) -> None:
        """Answer a PUT request."""
        self._serve()

    def do_PATCH(self) -> None:
        """Answer a PATCH request."""
        self._serve()

    def do_DELETE(self) -> None:
        """Answer a DELETE request."""
        self._serve()

    def _serve(self) -> None:
        simulator = self.server.simulator
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        kind, groups = kind_of(self.command, path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(kind, groups, dict(parse_qsl(parts.query)), headers, body)
        fault = simulator.faults.take(kind)
        if fault is not None and fault.before is not None:
            fault.before()
        with simulator.lock:
            answer = _answer(simulator, request, fault)
            lost = fault is not None and fault.lost
            self._note(request, path, 0 if lost else answer.status, None if lost else answer)
        if lost:
            self.close_connection = True
            return
        self._send(answer)

    def _note(self, request: Request, path: str, status: int, answer: Answer | None) -> None:
        from mixsync_dagster.testing.mixpeek_simulator.simulator import Exchange

        sent = None if request.kind in (PUT, DOWNLOAD) else _json(request.body)
        answered = None if answer is None or request.kind in (PUT, DOWNLOAD) else _json(answer.body)
        self.server.simulator.note(
            Exchange(request.kind, self.command, path, request.query, request.headers, sent, status, answered)
        )

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:  # noqa: PLR2004 - No Content
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)


def kind_of(method: str, path: str) -> tuple[str, Mapping[str, str]]:
    """Return what a request is about and the named parts of its path; `other` for what is not simulated."""
    for kind, wanted, pattern in _ROUTES:
        match = re.fullmatch(pattern, path, re.DOTALL) if method == wanted else None
        if match is not None:
            return kind, match.groupdict()
    return "other", {}


def _answer(simulator: MixpeekSimulator, request: Request, fault: Fault | None) -> Answer:
    try:
        if fault is not None and fault.status is not None:
            raise Refused(fault.status, fault.error, "simulated", details=fault.details, headers=fault.headers)  # noqa: TRY301
        simulator.settle()
        if request.kind in _STORE:
            return _STORE[request.kind](simulator, request)
        return _of_api(simulator, request)
    except Refused as refused:
        return refused.answer()


def _of_api(simulator: MixpeekSimulator, request: Request) -> Answer:
    if request.headers.get("authorization") != f"Bearer {simulator.api_key}":
        raise Refused(401, "UnauthorizedError", "the key is not accepted")
    wait = simulator.limited_for()
    if wait is not None:
        seconds = math.ceil(wait)
        details = {"retry_after_seconds": seconds, "api_name": "simulated"}
        headers = {"Retry-After": str(seconds)}
        raise Refused(429, "RateLimitError", "too many requests", details=details, headers=headers)
    if request.kind == "task_get":
        return batches.get_task(simulator, request)
    namespace = request.headers.get("x-namespace")
    if namespace is None:
        raise Refused(400, "BadRequestError", "the header X-Namespace is missing")
    if request.kind == "bucket_create":
        return _create_bucket(simulator, request)
    bucket = _bucket_of(simulator, request, namespace)
    if request.kind == "bucket_get":
        return Answer.of({**bucket.record, "object_count": len(bucket.objects)})
    serve = _OF_A_BUCKET.get(request.kind)
    if serve is None:
        raise Refused(404, "NotFoundError", "there is no such path")
    return serve(simulator, bucket, request)


def _bucket_of(simulator: MixpeekSimulator, request: Request, namespace: str) -> Bucket:
    asked = request.groups.get("bucket")
    for bucket in simulator.buckets.values():
        named = asked in (bucket.record["bucket_id"], bucket.record["bucket_name"])
        if named and bucket.namespace == namespace:
            return bucket
    raise Refused(404, "NotFoundError", f"bucket {asked} does not exist")


def _create_bucket(simulator: MixpeekSimulator, request: Request) -> Answer:
    body = request.json()
    schema = body.get("bucket_schema")
    if not isinstance(body.get("bucket_name"), str) or not isinstance(schema, Mapping):
        raise Refused(422, "ValidationError", "bucket_name and bucket_schema are required")
    made = simulator.add_bucket(
        simulator.new_bucket_id(),
        schema.get("properties") or {},
        unique_key=body.get("unique_key"),
        name=body["bucket_name"],
    )
    return Answer.of(made.record)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
