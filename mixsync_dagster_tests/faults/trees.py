"""Whole process trees that end at one moment: a real `dagster dev` with its run workers, and a `mixsync api` beside it.

Each round plants work, kills every process at a random moment, starts them again and waits until every sync is done.
What is measured: how long after Dagster is up again each sync goes on, and how long Dagster believes in a dead run.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import dagster as dg

from mixsync_dagster.control.syncs import trigger
from mixsync_dagster.orchestration.reaping import REAPER_SECONDS
from mixsync_dagster.orchestration.translator import SYNC_ID_TAG
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.faults.checking import KINDS, Findings
from mixsync_dagster_tests.faults.workers import clean_environment
from mixsync_dagster_tests.support.dagster_dev import DagsterDev, kill_together, running_dagster_dev
from mixsync_dagster_tests.support.recording_proxy import Answer, Forward, recording
from mixsync_dagster_tests.support.s3_servers import (
    ACCESS_KEY,
    SECRET_KEY,
    SeenRequest,
    TestBucket,
    free_ports,
    new_bucket,
    running_moto,
)

LEASE_SECONDS = 5
LAUNCH_SECONDS = 15.0
"""What Dagster takes on two shared cores from a tick to the first step of a run in a process of its own."""
RESUME_SECONDS = LEASE_SECONDS + REAPER_SECONDS + LAUNCH_SECONDS
STARTED_SECONDS = LEASE_SECONDS + 120.0
MOMENTS_SECONDS = 20.0
"""Within so many seconds of being asked for, runs are queued, started, at work and done."""

_NAMES = ("first", "second", "third")
_FILES = 8
_UP_SECONDS = 120.0
_SETTLE_SECONDS = 240.0
_READ_SECONDS = 0.4
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_DEFINITIONS = """\
connections:
  storage:
    provider_type: s3
    provider_config:
      endpoint_url: {endpoint}
      dialect: minio
      credentials: {{type: access_key, access_key_id: {access_key}, secret_access_key: {secret_key}}}
buckets:
  bkt_trees:
syncs:
"""
_SYNC = """\
  {name}:
    {{bucket_id: bkt_trees, connection_id: storage, source_path: {path}, polling_interval_seconds: 30}}
"""


@dataclass
class Round:
    """What one round came to."""

    number: int
    moment_seconds: float = 0.0
    """When everything was killed, from the moment at which the runs were asked for."""
    processes: int = 0
    cut: Counter[str] = field(default_factory=Counter)
    """Dagster runs that were cut, by their status."""
    resumed: dict[str, float] = field(default_factory=dict)
    """Seconds from Dagster's first look at a sensor to each unfinished sync's next run."""
    believed_seconds: float = 0.0
    """How long after the kill the last of the cut runs that had started was unfinished in Dagster."""
    findings: Findings = field(default_factory=Findings)

    def __str__(self) -> str:
        cut = ", ".join(f"{count} {status}" for status, count in sorted(self.cut.items())) or "no run"
        waits = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in self.resumed.items()) or "nothing was left"
        return (
            f"round {self.number}: {self.processes} processes at {self.moment_seconds:.1f} s, cut {cut}; "
            f"went on: {waits}; dead runs ended after {self.believed_seconds:.0f} s; "
            f"{self.findings or 'nothing found'}"
        )


class Trees:
    """A home, its storage, and a running Dagster and API over it that are killed and started again. A context manager.

    `lost`, `torn` and so on mean what they mean for single workers; a round's own limits are findings of kind `other`.
    """

    def __init__(self, folder: Path, *, seed: int) -> None:
        self._folder = folder
        self._chance = random.Random(seed)
        self._stack = ExitStack()
        self._slow = threading.Event()
        self._contents: dict[str, dict[str, bytes]] = {name: {} for name in _NAMES}
        self._numbers = Counter[str]()

    def __enter__(self) -> Self:
        moto = self._stack.enter_context(running_moto())
        proxy = self._stack.enter_context(recording(moto.endpoint_url))
        proxy.around = self._around
        self._sources: dict[str, TestBucket] = {name: new_bucket(moto) for name in _NAMES}
        home = self._folder / ".mixsync"
        own = {"MIXSYNC_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), "DAGSTER_DISABLE_TELEMETRY": "yes"}
        own |= {"MIXSYNC_LEASE_SECONDS": str(LEASE_SECONDS), "MIXSYNC_SYNC_CONCURRENCY": "1"}
        self._environment = clean_environment(own)
        text = _DEFINITIONS.format(endpoint=proxy.endpoint_url, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
        text += "".join(_SYNC.format(name=name, path=bucket.name) for name, bucket in self._sources.items())
        (self._folder / "syncs.yaml").write_text(text)
        for command in (["init"], ["apply", "--no-check", "syncs.yaml"]):
            done = self._mixsync(*command)
            assert done.returncode == 0, done.stderr
        settings = Settings.load({"MIXSYNC_HOME": str(home)})
        self._services = self._stack.enter_context(Services.open(settings))
        self._instance = self._stack.enter_context(dg.DagsterInstance.from_config(str(home / "dagster")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def rounds(self, count: int, told: Callable[[Round], None] = lambda _round: None) -> list[Round]:
        """Carry out so many rounds, one after the other: what is started again is what the next round kills."""
        done: list[Round] = []
        running = ExitStack()
        try:
            dagster, api, _ = self._start(running)
            for number in range(1, count + 1):
                one = Round(number)
                self._plant()
                self._kill([dagster.process, api], one)
                running.close()
                running = ExitStack()
                dagster, api, up_at = self._start(running)
                self._watch(one, dagster, up_at)
                self._audit(one)
                told(one)
                done.append(one)
        finally:
            running.close()
        return done

    def _plant(self) -> None:
        """Change every source: new files, a replaced one and one that goes; and ask for runs."""
        self._slow.set()
        for name, bucket in self._sources.items():
            contents = self._contents[name]
            if contents:
                key = self._chance.choice(sorted(contents))
                bucket.delete(key)
                del contents[key]
                self._put(name, self._chance.choice(sorted(contents)))
            for _ in range(_FILES):
                self._numbers[name] += 1
                self._put(name, f"{self._numbers[name]:04}.bin")
        store = self._services.store
        for name in _NAMES:
            trigger(store, store.get_sync(name))

    def _put(self, name: str, key: str) -> None:
        content = self._contents[name][key] = f"{name} {key} ".encode() + self._chance.randbytes(32)
        self._sources[name].put(key, content)

    def _kill(self, leaders: list[subprocess.Popen[bytes]], one: Round) -> None:
        one.moment_seconds = self._chance.uniform(0.0, MOMENTS_SECONDS)
        time.sleep(one.moment_seconds)
        one.processes = kill_together(leaders)
        self._killed_at = time.monotonic()
        self._cut = {run.run_id: run.status for run in self._instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))}
        one.cut.update(status.value for status in self._cut.values())
        self._slow.clear()

    def _start(self, running: ExitStack) -> tuple[DagsterDev, subprocess.Popen[bytes], float]:
        """Start Dagster and the API; return them and when Dagster first looked at a sensor."""
        self._began_at = datetime.now(UTC)
        dagster = running.enter_context(running_dagster_dev(self._folder, self._environment))
        api = running.enter_context(self._running_api(dagster))
        looked = b"dagster.daemon.SensorDaemon - "
        dagster.wait_until(lambda: looked in dagster.log.read_bytes(), _UP_SECONDS, "a sensor was looked at")
        return dagster, api, time.monotonic()

    @contextlib.contextmanager
    def _running_api(self, dagster: DagsterDev) -> Iterator[subprocess.Popen[bytes]]:
        [port] = free_ports(1)
        command = [sys.executable, "-m", "mixsync_dagster.cli", "api", "--port", str(port)]
        log = self._folder / "api.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self._folder, env=self._environment, stdout=output, stderr=output, start_new_session=True
            )

        def answers() -> bool:
            assert process.poll() is None, f"the API ended: {log.read_text()[-500:]}"
            return _answers(port)

        try:
            dagster.wait_until(answers, _UP_SECONDS, "the API answered")
            yield process
        finally:
            kill_together([process])

    def _watch(self, one: Round, dagster: DagsterDev, up_at: float) -> None:
        """Wait until every sync is done and no cut run is believed in, and note when each of that came."""
        left = {name for name in _NAMES if not self._settled(name)}
        believed = {run_id for run_id, status in self._cut.items() if status in _UNFINISHED[2:]}
        waiting = set(left)
        deadline = up_at + _SETTLE_SECONDS
        while left or believed:
            now = time.monotonic()
            if now > deadline:
                one.findings.add("other", f"after {_SETTLE_SECONDS:g} s: not done {left}, still believed {believed}")
                break
            assert dagster.process.poll() is None, "dagster dev ended by itself"
            for name in sorted(waiting):
                if self._went_on(name):
                    one.resumed[name] = max(0.0, now - up_at)
                    waiting.remove(name)
            left = {name for name in left if not self._settled(name)}
            for run_id in list(believed):
                run = self._instance.get_run_by_id(run_id)
                if run is None or run.is_finished:
                    believed.remove(run_id)
                    one.believed_seconds = max(one.believed_seconds, now - self._killed_at)
            time.sleep(0.5)
        if one.resumed and max(one.resumed.values()) > RESUME_SECONDS:
            one.findings.add("other", f"a sync went on only after {max(one.resumed.values()):.0f} s")
        if one.believed_seconds > STARTED_SECONDS:
            one.findings.add("other", f"a dead run was unfinished for {one.believed_seconds:.0f} s")

    def _went_on(self, name: str) -> bool:
        """Return whether a run has begun since everything was started again."""
        store = self._services.store
        runs = store.list_runs(store.get_sync(name).sync_config_id, limit=1)
        return bool(runs) and runs[0].started_at >= self._began_at

    def _settled(self, name: str) -> bool:
        store = self._services.store
        sync = store.get_sync(name)
        runs = store.list_runs(sync.sync_config_id, limit=1)
        if not runs or runs[0].status != "completed" or sync.locked:
            return False
        under_way = self._instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED))
        if any(run.tags.get(SYNC_ID_TAG) == sync.sync_config_id for run in under_way):
            return False
        return self._stored(name) == {key: [_sha256(data)] for key, data in self._contents[name].items()}

    def _stored(self, name: str) -> dict[str, list[str]]:
        """Return the hashes of the active objects at each path."""
        found: dict[str, list[str]] = {}
        store = self._services.store
        sync_id = store.get_sync(name).sync_config_id
        for stored in store.list_objects("bkt_trees", sync_config_id=sync_id, limit=100_000):
            if stored.state == "active":
                found.setdefault(stored.source_path, []).append(stored.blobs[0].sha256)
        return found

    def _audit(self, one: Round) -> None:
        """Compare source and objects by hash, and let `mixsync verify` look at everything."""
        for name, contents in self._contents.items():
            stored = self._stored(name)
            for key, data in contents.items():
                one.findings.objects += 1
                hashes = stored.pop(key, [])
                if not hashes:
                    one.findings.add("lost", f"{key} of {name} has no object")
                elif len(hashes) > 1:
                    one.findings.add("duplicated", f"{key} of {name} has {len(hashes)} objects")
                elif hashes != [_sha256(data)]:
                    one.findings.add("torn", f"the object of {key} of {name} has other bytes")
            for key in stored:
                one.findings.add("other", f"{key} of {name} is gone and still has an object")
        one.findings.blobs += sum(1 for _ in (self._folder / ".mixsync/blobs").glob("[0-9a-f][0-9a-f]/*"))
        # Bytes that a killed run left behind are told as information.
        verified = self._mixsync("verify", "--all", "--data", "--source")
        if verified.returncode:
            one.findings.add("other", f"verify: {verified.stdout.strip()[:300] or verified.stderr}")

    def _mixsync(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "mixsync_dagster.cli", *arguments]
        return subprocess.run(
            command, check=False, capture_output=True, text=True, cwd=self._folder, env=self._environment
        )

    def _around(self, request: SeenRequest, forward: Forward) -> Answer:
        if self._slow.is_set() and request.method == "GET" and ".bin" in request.target:
            time.sleep(_READ_SECONDS)
        return forward()


def table(rounds: list[Round]) -> str:
    """Return what the rounds came to, as a Markdown table."""
    cut: Counter[str] = sum((one.cut for one in rounds), Counter())
    waits = sorted(seconds for one in rounds for seconds in one.resumed.values())
    found = Counter(kind for one in rounds for kind, _ in one.findings.found)
    rows = [
        ("process trees killed", f"{len(rounds)}, with {sum(one.processes for one in rounds)} processes"),
        ("runs cut", ", ".join(f"{count} {status}" for status, count in sorted(cut.items())) or "none"),
        ("syncs with work left", str(len(waits))),
        (
            f"seconds until they went on (at most {RESUME_SECONDS:g})",
            f"median {waits[len(waits) // 2]:.0f}, most {waits[-1]:.0f}" if waits else "none",
        ),
        (
            f"seconds that Dagster believed in a dead run (at most {STARTED_SECONDS:g})",
            f"most {max((one.believed_seconds for one in rounds), default=0.0):.0f}",
        ),
        ("objects checked, blobs hashed", f"{_sum(rounds, 'objects'):,}, {_sum(rounds, 'blobs'):,}"),
        *((kind, str(found[kind])) for kind in KINDS),
    ]
    return "".join(
        f"| {name} | {value} |\n" for name, value in [("whole process trees", "count"), ("---", "---"), *rows]
    )


def _sum(rounds: list[Round], name: str) -> int:
    return sum(getattr(one.findings, name) for one in rounds)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _answers(port: int) -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
        return bool(answer.status == 200)
    return False
