"""A home of the product over one world: what is done to it by commands, and what it then holds, read by other code."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixsync_dagster_tests.faults.books import AnyBooks, PostgresBooks, SqliteBooks, copy_home
from mixsync_dagster_tests.faults.points import Plan
from mixsync_dagster_tests.faults.workers import ForkServer
from mixsync_dagster_tests.scenarios.worlds import Held, World
from mixsync_dagster_tests.support.postgres import PostgresServer

SYNC = "everything"
BUCKET = "bkt_scenarios"
KILLED = -9
_NOBODY = "http://127.0.0.1:9/"
"""Who takes the batches of workers that die before they submit one."""
_WORK = ("created", "replaced", "moved", "removed", "duplicates", "quarantined", "failed")
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Done:
    """A command at its end."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """What it printed, a JSON document a line."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Home:
    """A home folder, its database, and the world that its one sync reads."""

    path: Path
    books: AnyBooks
    world: World
    forks: ForkServer
    changes: dict[str, Any] = field(default_factory=dict)
    """What the sync is defined with beside what the world says."""
    credentials: Mapping[str, Any] | None = None
    """What the connection is defined with in place of the world's own."""
    outputs: int = 0

    def command(self, *command: str, plan: Plan | None = None) -> Done:
        """Run `mixsync ...` or `dagster ...` in a process of its own, to its end."""
        self.outputs += 1
        output = self.path / f"output-{self.outputs}"
        worker = self.forks.start(command, folder=self.path, output=output, plan=plan, environment=self._environment)
        status = worker.wait()
        return Done(status, Path(f"{output}.out").read_text("utf-8"), worker.said)

    def mixsync(self, *arguments: str, statuses: tuple[int, ...] = (0,)) -> Done:
        """Run a `mixsync` command that must end with one of the statuses."""
        done = self.command("mixsync", *arguments)
        assert done.status in statuses, f"mixsync {' '.join(arguments)} ended with {done.status}: {done.err}{done.out}"
        return done

    def define(self, **changes: Any) -> None:
        """Apply the connection, the bucket and the sync, with these settings of the sync changed from now on."""
        self.changes |= changes
        sync = {
            "bucket_id": BUCKET,
            "connection_id": "source",
            "source_path": self.world.source_path,
            "schema_mapping": self.world.mapping(),
            **self.world.settings(),
            **self.changes,
        }
        config = self.world.connection()
        if self.credentials is not None:
            config["credentials"] = self.credentials
        connection = {"provider_type": config["provider_type"], "provider_config": config}
        definitions = {"connections": {"source": connection}, "buckets": {BUCKET: None}, "syncs": {SYNC: sync}}
        file = self.path / "definitions.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(definitions))
        self.mixsync("apply", "--no-check", str(file))
        file.unlink()

    def run(self, *options: str, statuses: tuple[int, ...] = (0,)) -> dict[str, Any]:
        """Run the sync once and return the run's record."""
        (record,) = self.mixsync("run", SYNC, "--json", *options, statuses=statuses).lines
        return record

    def work(self, *options: str, statuses: tuple[int, ...] = (0,)) -> dict[str, int]:
        """Run the sync once and return what it did, counters of nothing left out."""
        record = self.run(*options, statuses=statuses)
        return {name: record[name] for name in _WORK if record[name]}

    def run_until_killed(self, plan: Plan) -> None:
        """Run the sync in small pieces until it is killed at the planned point."""
        done = self.command("mixsync", "run", SYNC, "--json", plan=plan)
        assert done.status == KILLED, f"the run was not killed: {done.status} {done.err}{done.out}"

    def execute(self, *options: str, full_sync: bool = False, succeeds: bool = True) -> dict[str, Any]:
        """Let Dagster run the sync, in the home's own instance, and return our record of the run."""
        config = self.path / "run.yaml"
        config.write_text(json.dumps({"sync": SYNC, "full_sync": full_sync}))
        job = ("job", "execute", "-m", "mixsync_dagster.definitions", "-j", "sync_bucket", "-c", str(config))
        done = self.command("dagster", *job, *options)
        assert (done.status == 0) == succeeds, f"{done.status}: {done.out[-2000:]}{done.err[-2000:]}"
        record = self.mixsync("runs", SYNC, "--json").lines[0]
        assert record["dagster_run_id"] is not None
        return record

    def held(self) -> dict[str, Held]:
        """Return what the bucket holds, by source object id; bytes are hashed where they lie."""
        query = (
            "SELECT source_object_id, source_path, fields, blobs, source_provider FROM objects WHERE state = 'active'"
        )
        found: dict[str, Held] = {}
        for source_object_id, path, fields, blobs, provider in self.books.rows(query):
            assert source_object_id not in found, f"{source_object_id} has two objects"
            assert provider == self.world.provider
            (blob,) = json.loads(blobs)
            found[source_object_id] = Held(path, json.loads(fields), self._hash(blob["sha256"]))
        return found

    def object_ids(self) -> dict[str, str]:
        """Return the ids of the objects by path."""
        query = "SELECT source_path, object_id FROM objects WHERE state = 'active'"
        return dict(self.books.rows(query))

    def letters(self) -> dict[str, str]:
        """Return the reason classes of open dead letters by path."""
        query = "SELECT source_path, error_type FROM dead_letters WHERE state IN ('waiting', 'quarantined')"
        return dict(self.books.rows(query))

    def is_asked_for(self) -> bool:
        """Return whether the sync is to run at once."""
        return bool(self.books.rows("SELECT 1 FROM syncs WHERE requested_at IS NOT NULL"))

    def assert_in_step(self, without: frozenset[str] = frozenset()) -> None:
        """Compare the bucket with the source, and let `verify` look for anything that does not fit together."""
        assert self.held() == self.world.expected(without)
        self.mixsync("verify", "--all", "--data", *([] if without else ["--source"]))

    def close(self) -> None:
        """Let go of the database and of the world."""
        self.books.close()
        self.world.close()

    @property
    def _environment(self) -> Mapping[str, str]:
        return {
            "MIXSYNC_HOME": str(self.path),
            "MIXSYNC_DATABASE_URL": self.books.url,
            "DAGSTER_HOME": str(self.path / "dagster"),
            **self.world.environment,
        }

    def _hash(self, name: str) -> str:
        (path,) = (self.path / "blobs").glob(f"*/{name}")
        return hashlib.sha256(path.read_bytes()).hexdigest()


def killed_at(name: str, number: int) -> Plan:
    """Return the plan of a worker that works in small pieces and dies when it passes a point of the engine."""
    from mixsync_dagster_tests.faults.points import Point

    return Plan(receiver=_NOBODY, at=Point("engine", name, number))


class Homes:
    """Makes homes from initialised templates, one for each database."""

    def __init__(self, folder: Path, forks: ForkServer, postgres: PostgresServer) -> None:
        self._folder = folder
        self._forks = forks
        self._postgres = postgres
        self._templates: dict[str, tuple[Path, AnyBooks]] = {}
        self._stack = ExitStack()

    @contextmanager
    def home(
        self, world: World, database: str, *, credentials: Mapping[str, Any] | None = None, **changes: Any
    ) -> Iterator[Home]:
        """Give a home over a world whose sync is defined and has never run."""
        template, books = self._template(database)
        path = self._folder / f"home-{next(_NUMBERS):04}"
        copy_home(template, path, dagster=True)
        home = Home(path, books.copy(path), world, self._forks, credentials=credentials)
        try:
            home.define(**changes)
            yield home
        finally:
            home.close()

    def close(self) -> None:
        """Drop the templates."""
        for _, books in self._templates.values():
            books.close()

    def _template(self, database: str) -> tuple[Path, AnyBooks]:
        if database not in self._templates:
            path = self._folder / f"template-{database}"
            path.mkdir()
            books: AnyBooks = (
                SqliteBooks(path / "state.db") if database == "sqlite" else PostgresBooks.create(self._postgres)
            )
            _Template(path, books, self._forks).init()
            self._templates[database] = (path, books)
        return self._templates[database]


@dataclass
class _Template:
    path: Path
    books: AnyBooks
    forks: ForkServer

    def init(self) -> None:
        environment = {
            "MIXSYNC_HOME": str(self.path),
            "MIXSYNC_DATABASE_URL": self.books.url,
            "DAGSTER_HOME": str(self.path / "dagster"),
        }
        output = self.path / "init"
        worker = self.forks.start(
            ["mixsync", "init"], folder=self.path, output=output, plan=None, environment=environment
        )
        assert worker.wait() == 0, worker.said
