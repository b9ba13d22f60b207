"""A world: one sync with everything that can happen to an item, its storage, its home and its workers."""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

from mixsync_dagster_tests.faults.books import (
    AnyBooks,
    PostgresBooks,
    SqliteBooks,
    copy_home,
    expire_lease,
)
from mixsync_dagster_tests.faults.points import Plan
from mixsync_dagster_tests.faults.storage import BUCKET, Storage, StorageServer
from mixsync_dagster_tests.faults.workers import CommandStarter, ForkServer, Worker
from mixsync_dagster_tests.support.postgres import PostgresServer

Way = Literal["mixsync", "dagster"]
Database = Literal["sqlite", "postgres"]

SYNC = "videos"
SYNC_FROM = datetime(2026, 1, 1, tzinfo=UTC)
POISON = "poison/torn"
FATAL = "poison/fatal"
ARCHIVED = "poison/archived"
EXCLUDED = ".tmp"
DONE = (0, 3)
"""Exit statuses of a command that did its work; 3 with failed items."""

_DEFINITIONS = """\
connections:
  storage:
    provider_type: s3
    provider_config:
      region: us-east-1
      endpoint_url: {endpoint}
      use_ssl: false
      dialect: minio
      credentials: {{type: access_key, access_key_id: {{env: FAULTS_KEY}}, secret_access_key: {{env: FAULTS_SECRET}}}}
buckets:
  bkt_faults:
syncs:
  videos:
    bucket_id: bkt_faults
    connection_id: storage
    source_path: {bucket}
    sync_from: {sync_from}
    file_filters: {{exclude_patterns: ["*.tmp"]}}
"""
_NUMBERS = itertools.count(1)


def first_content(storage: Storage) -> None:
    """Fill the storage as the first runs find it."""
    for number in range(14):
        storage.put(f"keep/{number:02}", b"kept %d" % number)
    for number in range(5):
        storage.put(f"replace/{number:02}", b"before %d" % number)
        storage.put(f"gone/{number:02}", b"gone %d" % number)
    for number in range(3):
        storage.put(f"old-name/{number:02}", b"renamed %d" % number)
    storage.put("keep/half.tmp", b"left alone")
    storage.put("ancient/00", b"too old", modified=datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC))
    storage.put("ancient/01", b"old enough", modified=SYNC_FROM)
    storage.put(POISON, b"never arrives whole", corrupt=True)


def second_content(storage: Storage) -> None:
    """Change the storage as the run finds it that is to be killed: every kind of work, in several shards."""
    for number in range(26):
        storage.put(f"new/{number:02}", b"new %d" % number)
    for number in range(5):
        storage.put(f"replace/{number:02}", b"after %d" % number)
        storage.delete(f"gone/{number:02}")
    for number in range(3):
        storage.delete(f"old-name/{number:02}")
        storage.put(f"renamed/{number:02}", b"renamed %d" % number)
    storage.put("new/same-as-kept", b"kept 3")
    storage.put("new/twin", b"new 7")
    storage.put("new/empty", b"")
    storage.put("new/half.tmp", b"left alone too")
    storage.put("new/edge", b"at the edge", modified=SYNC_FROM)
    storage.put(ARCHIVED, b"in the vault", storage_class="GLACIER")


def third_content(storage: Storage) -> None:
    """Change the storage between the kill and the restart."""
    storage.put("new/03", b"newer 3")
    storage.put("replace/01", b"after all")
    storage.delete("new/04")
    storage.put("gone/02", b"gone 2")
    storage.put("later/00", b"later")
    storage.put("a-first/00", b"before everything")


class NotDone(Exception):
    """A run that nobody hurt did not do its work."""


@dataclass
class World:
    """One home over one storage; workers come and go."""

    home: Path
    key: str
    books: AnyBooks
    storage: Storage
    server: StorageServer
    way: Way
    starter: ForkServer | CommandStarter
    commands: ForkServer | CommandStarter
    """Starts what is always `mixsync`, whichever way the sync is run."""
    runs: int = 0
    outputs: list[Worker] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "MIXSYNC_HOME": str(self.home),
            "MIXSYNC_DATABASE_URL": self.books.url,
            "DAGSTER_HOME": str(self.home / "dagster"),
            "FAULTS_KEY": self.key,
            "FAULTS_SECRET": "loopback-secret-of-no-value",
            "DAGSTER_DISABLE_TELEMETRY": "yes",
        }

    def plan(self, **given: Any) -> Plan:
        return Plan(receiver=f"{self.server.url}/{self.key}", **given)

    def start(self, plan: Plan | None = None) -> Worker:
        """Start a worker that runs the sync once."""
        if self.way == "mixsync":
            # Without the guard: what would be removed wrongly is to be seen.
            command = ["mixsync", "run", SYNC, "--json", "--approve-removals"]
        else:
            command = ["dagster", "job", "execute", "-m", "mixsync_dagster.definitions", "-j", "sync_bucket"]
            # JSON is YAML.
            config = self.home / "run.yaml"
            config.write_text(json.dumps({"sync": SYNC}))
            command += ["--config", str(config)]
        self.runs += 1
        return self._start(self.starter, command, plan or self.plan())

    def command(self, *arguments: str) -> Worker:
        """Run another `mixsync` command to its end."""
        worker = self._start(self.commands, ["mixsync", *arguments], self.plan())
        worker.wait()
        return worker

    def _start(self, starter: ForkServer | CommandStarter, command: Sequence[str], plan: Plan) -> Worker:
        output = self.home / f"worker-{len(self.outputs)}"
        worker = starter.start(command, folder=self.home, output=output, plan=plan, environment=self.environment)
        self.outputs.append(worker)
        return worker

    def run(self) -> None:
        """Run the sync once. Raises NotDone unless it does its work."""
        worker = self.start()
        if worker.wait() not in DONE:
            raise NotDone(f"a run ended with {worker.status}: {worker.told}")

    def settle(self, most: int = 8) -> int:
        """Run until a run finds nothing to do and return how many that took. Raises NotDone."""
        for number in range(1, most + 1):
            self.run()
            if self.settled():
                return number
        raise NotDone(f"still at work after {most} runs, the last one {self.last_run()}")

    def settled(self) -> bool:
        status, counters = self.last_run()
        work = ("created", "replaced", "moved", "removed", "duplicates", "failed", "batches_created")
        idle = not any(counters[name] for name in work)
        return status == "completed" and idle and not self.books.rows("SELECT 1 FROM checkpoints")

    def last_run(self) -> tuple[str, dict[str, Any]]:
        # Not by its time: a worker's clock may be off.
        query = "SELECT status, counters FROM runs WHERE sync_run_id = (SELECT current_sync_run_id FROM syncs)"
        status, counters = self.books.rows(query)[0]
        return status, json.loads(counters)

    def expire(self) -> None:
        expire_lease(self.books)

    def close(self) -> None:
        """Let go of everything; processes have ended."""
        self.server.drop(self.key)
        self.books.close()
        shutil.rmtree(self.home, ignore_errors=True)


@dataclass
class Template:
    """A home after its first runs, from which worlds are copied."""

    home: Path
    books: AnyBooks
    storage: Storage


class Lab:
    """Everything that worlds share: servers, the template of each database, starters of workers. A context manager."""

    def __init__(self, *, postgres: PostgresServer | None, dagster: bool) -> None:
        self._postgres = postgres
        self._dagster = dagster
        self._stack = ExitStack()
        self._making = threading.Lock()
        self._templates: dict[Database, Template] = {}
        # In memory where there is such a folder: a killed process loses nothing that the system has, and points cut
        # what was not flushed themselves.
        shared = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(prefix="mixsync-faults-", dir=shared if shared.is_dir() else None))

    def __enter__(self) -> Self:
        self._stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.server = self._stack.enter_context(StorageServer())
        self.forks = self._stack.enter_context(ForkServer(dagster=self._dagster))
        self.commands = CommandStarter(self.folder / "site")
        return self

    def __exit__(self, *_: object) -> None:
        for template in self._templates.values():
            template.books.close()
        self._stack.close()

    world_class: type[World] = World
    definitions = _DEFINITIONS

    def template(self, database: Database) -> Template:
        """Return the home that worlds on this database are copies of."""
        with self._making:
            if database not in self._templates:
                self._templates[database] = self._make_template(database)
            return self._templates[database]

    @contextmanager
    def world(
        self,
        database: Database,
        way: Way = "mixsync",
        *,
        content: Callable[[Storage], None] = second_content,
        starter: ForkServer | CommandStarter | None = None,
    ) -> Iterator[World]:
        """Give a world whose first runs are done and whose storage has changed since."""
        template = self.template(database)
        key = f"K{next(_NUMBERS):06}"
        home = self.folder / key
        copy_home(template.home, home, dagster=way == "dagster")
        storage = template.storage.copy()
        content(storage)
        world = self.world_class(
            home, key, template.books.copy(home), storage, self.server, way, starter or self.forks, self.forks
        )
        self.server.add(key, storage)
        try:
            yield world
        finally:
            world.close()

    def _make_template(self, database: Database) -> Template:
        home = self.folder / f"template-{database}"
        home.mkdir()
        if database == "sqlite":
            books: AnyBooks = SqliteBooks(home / "state.db")
        else:
            assert self._postgres is not None, "this lab has no PostgreSQL"
            books = PostgresBooks.create(self._postgres)
        storage = Storage()
        first_content(storage)
        world = self.world_class(home, f"T-{database}", books, storage, self.server, "mixsync", self.forks, self.forks)
        self.server.add(world.key, storage)
        definitions = home / "definitions.yaml"
        text = self.definitions.format(endpoint=self.server.url, bucket=BUCKET, sync_from=SYNC_FROM.isoformat())
        definitions.write_text(text)
        for arguments in (["init"], ["apply", "--no-check", str(definitions)]):
            worker = world.command(*arguments)
            assert worker.status == 0, worker.said
        # One try and two retries of the torn item: the next one is its last.
        for _ in range(3):
            world.run()
        books.journal()
        for leftover in home.glob("worker-*"):
            leftover.unlink()
        return Template(home, books, storage)


def with_fatal_item(storage: Storage) -> None:
    """Add an item whose reading takes the worker down."""
    storage.put(FATAL, b"reading this ends the process")
