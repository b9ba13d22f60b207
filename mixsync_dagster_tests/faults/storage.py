"""An S3-protocol server in this process, with storages that change on command, and the receiver of batches beside it.

Each world has its own storage behind the same bucket name: requests tell by their access key whose they are. So a home
can be copied, with everything that its inventory says about the source, and the copies do not see each other.
"""

from __future__ import annotations

import hashlib
import json
import socketserver
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, quote, unquote
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq

BUCKET = "media"
PAGE_KEYS = 16
"""Keys of a listing answer at most: services may answer with fewer than they are asked for."""

_MODIFIED = datetime(2026, 1, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Entry:
    """One object at the storage."""

    data: bytes
    modified: datetime = _MODIFIED
    storage_class: str = "STANDARD"
    corrupt: bool = False
    """Answered with one byte changed, under the ETag of the right bytes."""

    @property
    def etag(self) -> str:
        return hashlib.md5(self.data, usedforsecurity=False).hexdigest()

    @property
    def served(self) -> bytes:
        return bytes([self.data[0] ^ 1]) + self.data[1:] if self.corrupt else self.data


@dataclass
class Submission:
    """What the receiver took for one idempotency key."""

    batch_id: str
    digest: str
    members: tuple[tuple[str, str], ...]
    posts: int = 1


@dataclass
class Storage:
    """What one world's bucket holds, what was asked of it, and what was handed over for processing."""

    entries: dict[str, Entry] = field(default_factory=dict)
    reads: Counter[str] = field(default_factory=Counter)
    deleted: set[str] = field(default_factory=set)
    """Keys that were gone at some time."""
    changed: set[str] = field(default_factory=set)
    """Keys that were put over an earlier content."""
    submissions: dict[str, Submission] = field(default_factory=dict)
    refused: list[tuple[str, str]] = field(default_factory=list)
    """Posts that cannot be taken, as a kind of finding and a sentence."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, key: str, data: bytes, **about: Any) -> None:
        with self.lock:
            if key in self.entries:
                self.changed.add(key)
            self.entries[key] = Entry(data, **about)

    def delete(self, key: str) -> None:
        with self.lock:
            del self.entries[key]
            self.deleted.add(key)

    def copy(self) -> Storage:
        """Return a storage with the same content and submissions, whose history begins now."""
        with self.lock:
            submissions = {key: replace(one) for key, one in self.submissions.items()}
            return Storage(dict(self.entries), Counter(self.reads), submissions=submissions)

    def take(self, body: dict[str, str]) -> str:
        """Take a batch once for each idempotency key and return its task id; a repeat is answered alike."""
        manifest = Path(body["manifest"])
        digest = hashlib.sha256(manifest.read_bytes()).hexdigest()
        try:
            rows = pq.read_table(manifest, columns=["object_id", "version"]).to_pylist()
        except (pa.ArrowInvalid, OSError):
            rows = []
            self.refused.append(("torn", f"manifest {manifest.name} cannot be read"))
        given = Submission(body["batch_id"], digest, tuple((row["object_id"], row["version"]) for row in rows))
        with self.lock:
            known = self.submissions.setdefault(body["key"], given)
            if known is not given:
                known.posts += 1
                if (known.batch_id, known.digest) != (given.batch_id, given.digest):
                    sentence = f"key {body['key']} came again with another batch or manifest"
                    self.refused.append(("double-submitted", sentence))
        return f"task-{body['key']}"


class StorageServer:
    """Serves any number of storages over HTTP; a context manager."""

    def __init__(self) -> None:
        self._server = _Server(("127.0.0.1", 0), _Connection)
        self._server.storages = {}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    def add(self, key: str, storage: Storage) -> None:
        """Serve a storage to whoever signs with this access key."""
        self._server.storages[key] = storage

    def drop(self, key: str) -> None:
        self._server.storages.pop(key, None)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256
    block_on_close = False
    storages: dict[str, Storage]

    def handle_error(self, *_: Any) -> None:
        """Stay silent: clients that die inside an answer are what this server is for."""


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        while line := self.rfile.readline():
            method, target, _ = line.decode("latin-1").split(" ")
            headers = {}
            while (header := self.rfile.readline()) not in (b"\r\n", b""):
                name, _, value = header.decode("latin-1").partition(":")
                headers[name.lower()] = value.strip()
            body = self.rfile.read(int(headers.get("content-length", "0")))
            self._answer(method, *self._respond(method, target, headers, body))

    def _answer(self, method: str, status: int, body: bytes, extra: dict[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in extra.items()]
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.wfile.write(head if method == "HEAD" else head + body)

    def _respond(
        self, method: str, target: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, bytes, dict[str, str]]:
        path, _, query = target.partition("?")
        if method == "POST":
            return 200, self.server.storages[path.strip("/")].take(json.loads(body)).encode(), {}
        signed = headers.get("authorization", "")
        storage = self.server.storages.get(signed.partition("Credential=")[2].partition("/")[0])
        if storage is None:
            return 403, _error("InvalidAccessKeyId"), {}
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        if bucket != BUCKET:
            return 404, _error("NoSuchBucket"), {}
        if not key:
            with storage.lock:
                entries = dict(storage.entries)
            return 200, _listed(entries, parse_qs(query, keep_blank_values=True)), {"Content-Type": "application/xml"}
        return _object(storage, key, headers, counted=method == "GET")


def _object(storage: Storage, key: str, headers: dict[str, str], *, counted: bool) -> tuple[int, bytes, dict[str, str]]:
    with storage.lock:
        entry = storage.entries.get(key)
        storage.reads[key] += counted
    if entry is None:
        return 404, _error("NoSuchKey"), {}
    if headers.get("if-match", entry.etag).strip('"') != entry.etag:
        return 412, _error("PreconditionFailed"), {}
    about = {
        "ETag": f'"{entry.etag}"',
        "Last-Modified": entry.modified.strftime("%a, %d %b %Y %H:%M:%S GMT"),
        "Content-Type": "application/octet-stream",
    }
    return 200, entry.served, about


def _error(code: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{code}</Message></Error>'.encode()


def _listed(entries: dict[str, Entry], query: dict[str, list[str]]) -> bytes:
    def given(name: str) -> str:
        return query.get(name, [""])[0]

    prefix, delimiter = given("prefix"), given("delimiter")
    after = unquote(given("continuation-token")) or given("start-after")
    most = min(int(given("max-keys") or "1000"), PAGE_KEYS)
    keys = [key for key in sorted(entries, key=str.encode) if key.startswith(prefix) and key.encode() > after.encode()]
    folders: list[str] = []
    if delimiter:
        below = [key[len(prefix) :] for key in keys]
        folders = sorted({prefix + one.partition(delimiter)[0] + delimiter for one in below if delimiter in one})
        keys = [key for key, one in zip(keys, below, strict=True) if delimiter not in one]
        return _page(entries, keys[:most], folders, more=False)
    return _page(entries, keys[:most], folders, more=len(keys) > most)


def _page(entries: dict[str, Entry], keys: list[str], folders: list[str], *, more: bool) -> bytes:
    rows = [
        f"<Contents><Key>{escape(quote(key))}</Key><LastModified>{entries[key].modified:%Y-%m-%dT%H:%M:%S.000Z}"
        f"</LastModified><ETag>&quot;{entries[key].etag}&quot;</ETag><Size>{len(entries[key].data)}</Size>"
        f"<StorageClass>{entries[key].storage_class}</StorageClass></Contents>"
        for key in keys
    ]
    rows += [f"<CommonPrefixes><Prefix>{escape(quote(one))}</Prefix></CommonPrefixes>" for one in folders]
    token = f"<NextContinuationToken>{quote(keys[-1])}</NextContinuationToken>" if more else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>{BUCKET}</Name><EncodingType>url</EncodingType><KeyCount>{len(keys)}</KeyCount>"
        f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>{token}{''.join(rows)}</ListBucketResult>"
    ).encode()
