"""The named points of a worker at which it can be killed or frozen, put in from outside.

`install` changes this process for good, so it is only ever called in a worker. Nothing of it is in the product but the
engine's own `passing` and the seams that every adapter has.
"""

from __future__ import annotations

import io
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial, wraps
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

LIST_LAG_SECONDS = 0.4
"""How long workers take lists of a hosted service to lag."""


@dataclass(frozen=True, order=True)
class Point:
    """The n-th passing of a named point."""

    kind: str
    """engine, store, file, manifest, handler, read or service."""
    name: str
    number: int = 1

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}#{self.number}"


@dataclass(frozen=True)
class Plan:
    """What is to happen in one worker."""

    receiver: str
    """URL that takes batches."""
    at: Point | None = None
    freeze: bool = False
    """Stop at the point instead of dying there."""
    trace: str | None = None
    """File that gets a line for every point passed."""
    shard_rows: int = 16
    unit: int = 6
    """Objects of a commit: the product's own least is 100, which would make every world large."""
    chunk: int = 7
    """Objects of a batch."""
    clock_seconds: float = 0.0
    """How far the worker's clock is off."""

    def dump(self) -> str:
        return json.dumps({**vars(self), "at": None if self.at is None else vars(self.at)})

    @classmethod
    def load(cls, text: str) -> Plan:
        given = json.loads(text)
        return cls(**{**given, "at": None if given["at"] is None else Point(**given["at"])})


class _Disk:
    """What a power cut would take: bytes and names that nobody flushed. The page cache of this machine survives."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._names: dict[int, tuple[str, str]] = {}
        self._unflushed: set[tuple[str, str]] = set()
        self._unnamed: set[tuple[str, str]] = set()

    @staticmethod
    def root(folder: int) -> str:
        return str(Path(f"/proc/self/fd/{folder}").readlink())

    def created(self, descriptor: int, name: str, folder: int) -> None:
        with self.lock:
            self._names[descriptor] = (self.root(folder), name)

    def wrote(self, descriptor: int) -> None:
        with self.lock:
            self._unflushed.add(self._names[descriptor])

    def flushed(self, name: str | None, folder: int) -> None:
        root = self.root(folder)
        with self.lock:
            if name is None:
                self._unflushed = {one for one in self._unflushed if one[0] != root}
                self._unnamed = {one for one in self._unnamed if one[0] != root}
            self._unflushed.discard((root, str(name)))
            self._unnamed = {one for one in self._unnamed if one[0] != root or str(Path(one[1]).parent) != name}

    def renamed(self, old: str, new: str, folder: int) -> None:
        root = self.root(folder)
        with self.lock:
            if (root, old) in self._unflushed:
                self._unflushed.remove((root, old))
                self._unflushed.add((root, new))
            self._unnamed.add((root, new))

    def removed(self, name: str, folder: int) -> None:
        with self.lock:
            self._unflushed.discard((self.root(folder), name))

    def cut_power(self) -> None:
        """Leave half of the data that was not flushed, and no name that was not."""
        for root, name in self._unflushed:
            with suppress(OSError):
                path = Path(root, name)
                os.truncate(path, path.stat().st_size // 2)
        for root, name in self._unnamed:
            with suppress(OSError):
                Path(root, name).unlink()


class Points:
    """Counts passings and ends, or stops, the process at the planned one."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._seen: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self.disk = _Disk()

    def passing(self, kind: str, name: str) -> None:
        with self._lock:
            self._seen[kind, name] += 1
            point = Point(kind, name, self._seen[kind, name])
        if self._plan.trace is not None:
            with Path(self._plan.trace).open("a") as file:
                file.write(f"{kind}\t{name}\n")
        if point == self._plan.at:
            self._end()

    def _end(self) -> None:
        if self._plan.freeze:
            os.kill(os.getpid(), signal.SIGSTOP)
            return
        with self.disk.lock:
            self.disk.cut_power()
            os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)


def install(plan: Plan) -> None:
    """Put the points and the small sizes into this process."""
    points = Points(plan)
    _tune(plan)
    _watch_engine(points)
    _watch_store(points)
    _watch_files(points)
    _watch_manifests(points)
    _watch_handler(points, plan.receiver)
    _watch_reading(points)
    _watch_service(points)


def _around(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    original = getattr(owner, name)
    setattr(owner, name, wraps(original)(make(original)))


def _tune(plan: Plan) -> None:
    from mixsync_dagster.engine import listing, run
    from mixsync_dagster.state.store import SqlStateStore
    from mixsync_dagster.transport.clock import SystemClock

    run.IN_PROCESS_SHARD_ROWS = plan.shard_rows
    listing.list_items.__kwdefaults__ = {"shard_rows": plan.shard_rows}
    small = {"resume_checkpoint_frequency": plan.unit, "batch_size": plan.unit, "batch_chunk_size": plan.chunk}
    _around(SqlStateStore, "load_sync", lambda load: lambda self, sync_id: load(self, sync_id).model_copy(update=small))
    from mixsync_dagster.buckets.mixpeek import factory

    # The simulated service's lists lag behind by less.
    shorter = {"list_lag_seconds": LIST_LAG_SECONDS}
    _around(factory, "settings_of", lambda of: lambda *args, **options: replace(of(*args, **options), **shorter))
    if plan.clock_seconds:
        off = timedelta(seconds=plan.clock_seconds)
        _around(SystemClock, "now", lambda now: lambda self: now(self) + off)


def _watch_engine(points: Points) -> None:
    from mixsync_dagster.wiring import Services

    def make(tools_for: Any) -> Any:
        def wrapped(self: Any, *args: Any, **options: Any) -> Any:
            return replace(tools_for(self, *args, **options), passing=lambda name: points.passing("engine", name))

        return wrapped

    _around(Services, "tools_for", make)


def _watch_store(points: Points) -> None:
    from mixsync_dagster.state.database import Database

    def make(write: Any) -> Any:
        @contextmanager
        def wrapped(self: Any) -> Iterator[Any]:
            with write(self) as tx:
                points.passing("store", "begun")
                yield tx
                points.passing("store", "before commit")
            points.passing("store", "after commit")

        return wrapped

    _around(Database, "write", make)


def _watch_files(points: Points) -> None:
    from mixsync_dagster.buckets.files import Files

    for name, make in (
        ("create", _creating), ("write", _writing), ("flush", _flushing), ("flush_all", _flushing_all),
        ("rename", _renaming), ("unlink", _removing),
    ):  # fmt: skip
        _around(Files, name, partial(make, points))


def _creating(points: Points, original: Any) -> Any:
    def wrapped(self: Any, name: str, folder: int) -> int:
        descriptor: int = original(self, name, folder)
        points.disk.created(descriptor, name, folder)
        points.passing("file", "created")
        return descriptor

    return wrapped


def _writing(points: Points, original: Any) -> Any:
    def wrapped(self: Any, descriptor: int, data: Any) -> int:
        half = len(data) // 2
        points.disk.wrote(descriptor)
        written: int = original(self, descriptor, memoryview(data)[:half]) if half else 0
        points.passing("file", "half written")
        return written + int(original(self, descriptor, memoryview(data)[written:]))

    return wrapped


def _flushing(points: Points, original: Any) -> Any:
    def wrapped(self: Any, name: str, folder: int) -> None:
        points.passing("file", "before flush")
        original(self, name, folder)
        points.disk.flushed(name, folder)
        points.passing("file", "after flush")

    return wrapped


def _flushing_all(points: Points, original: Any) -> Any:
    def wrapped(self: Any, folder: int) -> None:
        points.passing("file", "before flush")
        original(self, folder)
        points.disk.flushed(None, folder)
        points.passing("file", "after flush")

    return wrapped


def _renaming(points: Points, original: Any) -> Any:
    def wrapped(self: Any, old: str, new: str, folder: int) -> None:
        points.passing("file", "before rename")
        with points.disk.lock:
            original(self, old, new, folder)
            points.disk.renamed(old, new, folder)
        points.passing("file", "after rename")

    return wrapped


def _removing(points: Points, original: Any) -> Any:
    def wrapped(self: Any, name: str, folder: int) -> None:
        original(self, name, folder)
        points.disk.removed(name, folder)

    return wrapped


def _watch_manifests(points: Points) -> None:
    from mixsync_dagster.buckets import manifest

    def write(original: Any) -> Any:
        def wrapped(file: Any, tables: Any) -> None:
            points.passing("manifest", "created")
            made = io.BytesIO()
            # The writer closes what it is given; only its bytes matter here.
            made.close = lambda: None  # type: ignore[method-assign]
            original(made, tables)
            whole = made.getvalue()
            file.write(whole[: len(whole) // 2])
            file.flush()
            points.passing("manifest", "half written")
            file.write(whole[len(whole) // 2 :])
            file.flush()
            points.passing("manifest", "written")

        return wrapped

    def flush(original: Any) -> Any:
        def wrapped(path: Path) -> None:
            points.passing("manifest", "renamed")
            original(path)
            points.passing("manifest", "durable")

        return wrapped

    _around(manifest, "_write_tables", write)
    _around(manifest, "flush_folder", flush)


def _watch_handler(points: Points, receiver: str) -> None:
    from mixsync_dagster.buckets.handlers import ManifestHandler

    target = urlsplit(receiver)

    def make(_: Any) -> Any:
        def handle(_self: Any, batch_id: str, manifest: str, *, idempotency_key: str) -> str:
            points.passing("handler", "before post")
            connection = HTTPConnection(str(target.hostname), target.port, timeout=30)
            body = json.dumps({"batch_id": batch_id, "manifest": manifest, "key": idempotency_key})
            connection.request("POST", target.path, body)
            task_id = connection.getresponse().read().decode()
            connection.close()
            points.passing("handler", "after post")
            return task_id

        return handle

    _around(ManifestHandler, "handle", make)


def _watch_reading(points: Points) -> None:
    from mixsync_dagster.providers.s3.provider import S3Provider

    def make(read: Any) -> Any:
        def wrapped(self: Any, item: Any) -> Any:
            points.passing("read", item.path)
            return read(self, item)

        return wrapped

    _around(S3Provider, "read", make)


def _watch_service(points: Points) -> None:
    from mixsync_dagster.buckets.mixpeek.client import MixpeekClient

    def make(send: Any) -> Any:
        def wrapped(self: Any, *args: Any, **options: Any) -> Any:
            points.passing("service", "before call")
            answer = send(self, *args, **options)
            points.passing("service", "after call")
            return answer

        return wrapped

    for name in ("_sent", "put"):
        _around(MixpeekClient, name, make)
