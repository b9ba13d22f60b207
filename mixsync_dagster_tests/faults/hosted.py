"""The same worlds with their bucket at a hosted service, whose answers get lost and whose lists lag behind.

Kills come at the engine's points, at those of the store, and before and after any request to the service.
"""

from __future__ import annotations

import copy
import hashlib
import json
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from mixsync_dagster.testing.mixpeek_simulator import API_KEY, NAMESPACE, MixpeekSimulator
from mixsync_dagster_tests.faults.cases import ENGINE_POINTS, POINTS, Result, verify
from mixsync_dagster_tests.faults.checking import Audit, Findings
from mixsync_dagster_tests.faults.points import LIST_LAG_SECONDS, Point
from mixsync_dagster_tests.faults.storage import Storage
from mixsync_dagster_tests.faults.worlds import (
    DONE,
    Database,
    Lab,
    NotDone,
    Way,
    World,
    second_content,
    third_content,
)

BUCKET_ID = "bkt_faults"
LOST_EVERY = 6
"""Of the changing requests every so many-th is carried out and its answer lost."""
CALLS = (1, 2, 3, 5, 8, 12, 17, 23, 30)
"""Requests of a run before and after which workers are killed."""
_DEFINITIONS = """\
connections:
  storage:
    provider_type: s3
    provider_config:
      region: us-east-1
      endpoint_url: {{endpoint}}
      use_ssl: false
      dialect: minio
      credentials: {{{{type: access_key, access_key_id: {{{{env: FAULTS_KEY}}}}, secret_access_key: {{{{env: FAULTS_SECRET}}}}}}}}
buckets:
  bkt_faults:
    destination: mixpeek
    mixpeek: {{{{base_url: "{service}", namespace: {namespace}, api_key: {{{{env: FAULTS_MIXPEEK}}}}}}}}
syncs:
  videos:
    bucket_id: bkt_faults
    connection_id: storage
    source_path: {{bucket}}
    sync_from: {{sync_from}}
    file_filters: {{{{exclude_patterns: ["*.tmp"]}}}}
    schema_mapping:
      mappings:
        content: {{{{target_type: blob, source: {{{{type: file}}}}, blob_type: image, mime_type_override: image/png}}}}
"""  # noqa: E501 - YAML of one line each


@dataclass
class HostedWorld(World):
    """A World whose bucket is at a service of its own."""

    service: MixpeekSimulator | None = field(default=None)

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "FAULTS_MIXPEEK": API_KEY}

    @property
    def there(self) -> Any:
        """The bucket as the service has it."""
        assert self.service is not None
        return self.service.buckets[BUCKET_ID]

    def move_to(self, service: MixpeekSimulator) -> None:
        """Let the bucket be at another address."""
        self.service = service
        there = {"base_url": service.url, "namespace": NAMESPACE, "api_key": {"env": "FAULTS_MIXPEEK"}}
        file = self.home / "bucket.yaml"
        file.write_text(json.dumps({"buckets": {BUCKET_ID: {"destination": "mixpeek", "mixpeek": there}}}))
        worker = self.command("apply", "--no-check", str(file))
        assert worker.status == 0, worker.said


class HostedLab(Lab):
    """A Lab whose worlds are HostedWorlds; a context manager."""

    world_class = HostedWorld

    def __enter__(self) -> Self:
        super().__enter__()
        self._first = self._stack.enter_context(MixpeekSimulator())
        self._first.add_bucket(BUCKET_ID, {"content": {"type": "image"}})
        self.definitions = _DEFINITIONS.format(service=self._first.url, namespace=NAMESPACE)
        return self

    @contextmanager
    def world(
        self,
        database: Database,
        way: Way = "mixsync",
        *,
        content: Callable[[Storage], None] = second_content,
        starter: Any = None,
    ) -> Iterator[World]:
        """Give a world whose service has what the template's had."""
        with (
            super().world(database, way, content=content, starter=starter) as world,
            MixpeekSimulator() as service,
        ):
            assert isinstance(world, HostedWorld)
            with self._first.lock:
                service.buckets[BUCKET_ID] = copy.deepcopy(self._first.buckets[BUCKET_ID])
            world.move_to(service)
            service.faults.lose_every = LOST_EVERY
            service.faults.list_lag_seconds = LIST_LAG_SECONDS / 2
            service.faults.confirm_seconds = 0.1
            yield world


class HostedAudit(Audit):
    """An Audit that looks at the service for objects, bytes and batches."""

    def __init__(self, world: HostedWorld) -> None:
        super().__init__(world)
        self._there = world.there

    def _check_blobs(self) -> None:
        """Look at what the service has: for every object of the catalog one, of its version and bytes, and no more."""
        found: dict[str, dict[str, Any]] = {}
        for one in self._there.objects.values():
            if one["mixsync_object_id"] in found:
                self.findings.add("duplicated", f"{one['mixsync_source']} has two objects at the service")
            found[one["mixsync_object_id"]] = one
        for key, versions in self._objects.items():
            for stored in (one for one in versions if one.state == "active"):
                there = found.pop(stored.object_id, None)
                if there is None or there["mixsync_version"] != stored.version:
                    self.findings.add("lost", f"{key} has no object of its version at the service")
                    continue
                self.findings.blobs += 1
                (blob,) = there["blobs"]
                content = self._there.contents.get((there["object_id"], blob["blob_id"]), b"nothing")
                if hashlib.sha256(content).hexdigest() != stored.blobs[0]["sha256"]:
                    self.findings.add("torn", f"the object of {key} has other bytes at the service")
        for one in found.values():
            self.findings.add("other", f"the service has an object of {one['mixsync_source']} that nobody knows")

    def _check_batches(self) -> None:
        query = "SELECT batch_id, state, remote_batch_id FROM batches"
        recorded = {remote: state for _, state, remote in self._world.books.rows(query) if remote is not None}
        members: Counter[str] = Counter()
        for batch_id, batch in self._there.batches.items():
            if batch.record["status"] == "DRAFT":
                self.findings.add("other", f"batch {batch_id} was left a draft")
                continue
            if batch.submit_requests != 1:
                self.findings.add("double-submitted", f"batch {batch_id} was submitted {batch.submit_requests} times")
            if recorded.get(batch_id) != "submitted":
                self.findings.add("double-submitted", f"batch {batch_id} was submitted and is not known")
            members.update(batch.record["object_ids"])
        for object_id, count in members.items():
            if count > 1:
                self.findings.add("double-submitted", f"object {object_id} was handed over {count} times")
        for object_id, one in self._there.objects.items():
            if not members[object_id]:
                self.findings.add("lost", f"the object of {one['mixsync_source']} is in no submitted batch")


@dataclass(frozen=True)
class HostedKill:
    """Kill a worker at a point, and those that go on in its place at the same point, then let one end in peace."""

    point: Point
    database: Database = "sqlite"
    times: int = 3
    change: bool = False
    """Whether the storage changes between the first kill and the restart."""

    def __str__(self) -> str:
        return f"hosted kill {self.point}"

    def run(self, lab: Lab) -> Result:
        """Make the world, hurt it, heal it, look at it."""
        result = Result(str(self), Findings())
        with lab.world(self.database) as world:
            assert isinstance(world, HostedWorld)
            for number in range(self.times):
                worker = world.start(world.plan(at=self.point))
                if worker.wait() != -signal.SIGKILL:
                    if worker.status not in DONE:
                        result.findings.add("other", f"a run ended with {worker.status}: {worker.told}")
                    break
                result.kills += 1
                world.expire()
                if number == 0 and self.change:
                    third_content(world.storage)
            try:
                world.settle(most=10)
            except NotDone as error:
                result.findings.add("other", str(error))
            result.runs += world.runs
            findings = HostedAudit(world).of_a_settled_sync()
            result.findings.found += findings.found
            result.findings.objects += findings.objects
            result.findings.blobs += findings.blobs
            verify(world, result)
        return result


def hosted_points() -> list[Point]:
    """Return every point at which workers with a hosted bucket are killed."""
    engine = [Point("engine", name) for name in ENGINE_POINTS]
    store = [Point("store", name, number) for name in POINTS["store"] for number in (4, 9)]
    service = [Point("service", name, number) for name in ("before call", "after call") for number in CALLS]
    return [*engine, *store, *service]
