"""The running simulator: its buckets, its log of requests, and the server that it listens by."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from mixsync_dagster.testing.mixpeek_simulator.books import Bucket, Task, Upload, token, told
from mixsync_dagster.testing.mixpeek_simulator.faults import DOWNLOAD, PUT, MixpeekFaults
from mixsync_dagster.testing.mixpeek_simulator.server import SimulatorServer

API_KEY = "sk_simulated_key"
"""The key that is accepted; obviously no real one."""
NAMESPACE = "ns_simulated"

_MINUTE = 60.0


@dataclass(frozen=True)
class Exchange:
    """One request and what it was answered."""

    kind: str
    method: str
    path: str
    """Path alone, decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """By lower-case names."""
    sent: Any
    """The JSON body of the request; None for none, and for bytes."""
    status: int
    answered: Any
    """The JSON body of the answer; None for none, and for bytes."""


class MixpeekSimulator:
    """Listens on a free port of loopback from its making until `close()` or the end of its `with`."""

    def __init__(self, *, tier: str = "free", api_key: str = API_KEY, namespace: str = NAMESPACE) -> None:
        self.tier = tier
        """free, pro or enterprise: how large files may be."""
        self.api_key = api_key
        self.namespace = namespace
        self.faults = MixpeekFaults()
        self.buckets: dict[str, Bucket] = {}
        self.tasks: dict[str, Task] = {}
        self.reaped: list[str] = []
        """Ids of drafts that nobody submitted in time."""
        self.exchanges: list[Exchange] = []
        self.lock = threading.RLock()
        self._skipped_seconds = 0.0
        self._calls: deque[float] = deque()
        self._server = SimulatorServer(self)

    @property
    def url(self) -> str:
        """Scheme, host and port: what a bucket's `base_url` is set to."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def now(self) -> float:
        """Return the simulator's time in seconds since 1970."""
        return time.time() + self._skipped_seconds

    def advance(self, seconds: float) -> None:
        """Let time pass at once."""
        self._skipped_seconds += seconds

    def add_bucket(
        self,
        bucket_id: str,
        properties: Mapping[str, Mapping[str, Any]],
        *,
        unique_key: Mapping[str, Any] | None = None,
        name: str | None = None,
    ) -> Bucket:
        """Return a new bucket of the namespace with this schema."""
        record = {
            "bucket_id": bucket_id,
            "bucket_name": name or bucket_id,
            "bucket_schema": {"properties": {key: dict(value) for key, value in properties.items()}},
            "unique_key": None if unique_key is None else dict(unique_key),
            "metadata": {},
            "object_count": 0,
            "total_size_bytes": 0,
            "created_at": told(self.now()),
            "status": "ACTIVE",
            "is_locked": False,
        }
        bucket = Bucket(record, self.namespace)
        with self.lock:
            self.buckets[bucket_id] = bucket
        return bucket

    def new_bucket_id(self) -> str:
        """Return an id for a bucket that is created through the API."""
        return token("bkt_", 8)

    def upload(self, upload_id: str) -> Upload | None:
        """Return an upload of any bucket."""
        for bucket in self.buckets.values():
            if upload_id in bucket.uploads:
                return bucket.uploads[upload_id]
        return None

    def content(self, sha256: str) -> bytes | None:
        """Return the bytes of any object's blob that have this hash, None when no object has them."""
        with self.lock:
            for bucket in self.buckets.values():
                for (object_id, _), content in bucket.contents.items():
                    if object_id in bucket.objects and hashlib.sha256(content).hexdigest() == sha256:
                        return content
        return None

    def begin_task(self, task: Task) -> None:
        """Do something in the background, when its time has come."""
        self.tasks[task.record["task_id"]] = task

    def settle(self) -> None:
        """Do what was to be done in the background by now."""
        for task in list(self.tasks.values()):
            if task.record["status"] == "PENDING" and task.ready_at <= self.now():
                task.record["status"] = task.work()

    def limited_for(self) -> float | None:
        """Count one API call; return how long to wait when there were too many within a minute, else None."""
        limit = self.faults.requests_per_minute
        if limit is None:
            return None
        now = self.now()
        while self._calls and self._calls[0] <= now - _MINUTE:
            self._calls.popleft()
        if len(self._calls) >= limit:
            return self._calls[0] + _MINUTE - now
        self._calls.append(now)
        return None

    def note(self, exchange: Exchange) -> None:
        """Log a request and its answer."""
        with self.lock:
            self.exchanges.append(exchange)

    def count(self, *kinds: str) -> int:
        """Return how many requests of these kinds came; without any, how many calls of the API."""
        with self.lock:
            counted = Counter(one.kind for one in self.exchanges)
        if kinds:
            return sum(counted[kind] for kind in kinds)
        return sum(count for kind, count in counted.items() if kind not in (PUT, DOWNLOAD))

    def forget_exchanges(self) -> None:
        """Start counting anew."""
        with self.lock:
            self.exchanges.clear()

    def close(self) -> None:
        """Stop listening. Twice is harmless."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
