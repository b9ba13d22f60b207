"""The auditor: compares source, inventory, catalog, blobs, batches, manifests and submissions, by other code than ours.

What it reads, it reads by SQL, by hashing files and by the receiver's own notes; of the product it knows the tables.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mixsync_dagster_tests.faults.storage import BUCKET, Entry
from mixsync_dagster_tests.faults.worlds import EXCLUDED, FATAL, POISON, SYNC_FROM, World

KINDS = ("lost", "duplicated", "torn", "wrongly removed", "double-submitted", "other")
MOST_READS_OF_TORN = 4
"""One try and three retries."""


@dataclass
class Findings:
    """What is wrong, and how much was looked at."""

    found: list[tuple[str, str]] = field(default_factory=list)
    objects: int = 0
    blobs: int = 0

    def add(self, kind: str, sentence: str) -> None:
        assert kind in KINDS
        self.found.append((kind, sentence))

    def __bool__(self) -> bool:
        return bool(self.found)

    def __str__(self) -> str:
        return "; ".join(f"{kind}: {sentence}" for kind, sentence in self.found[:6])


@dataclass(frozen=True)
class _Object:
    object_id: str
    version: str
    state: str
    blobs: tuple[dict[str, Any], ...]


class Audit:
    """One look at a world in which nobody works."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.findings = Findings()
        books = world.books
        self._inventory = {
            _key(row[0]): row[1:]
            for row in books.rows("SELECT source_object_id, object_id, version, duplicate_of FROM inventory")
        }
        self._objects: dict[str, list[_Object]] = {}
        self._by_id: dict[str, _Object] = {}
        query = "SELECT source_object_id, object_id, version, state, blobs FROM objects"
        for source_object_id, object_id, version, state, blobs in books.rows(query):
            one = _Object(object_id, version, state, tuple(json.loads(blobs)))
            self._objects.setdefault(_key(source_object_id), []).append(one)
            self._by_id[object_id] = one
        with world.storage.lock:
            self._source = dict(world.storage.entries)

    def of_a_finished_pass(self, untouched: set[str]) -> Findings:
        """Look only at what a finished pass may not have left out: items that stood still since before it began."""
        for key in sorted(untouched):
            if _wanted(key, self._source[key]) and key not in self._inventory:
                self.findings.add("lost", f"{key} was passed over")
        self._check_journal()
        return self.findings

    def of_a_settled_sync(self) -> Findings:
        """Look at everything."""
        self._check_items()
        self._check_objects()
        self._check_blobs()
        self._check_dead_letters()
        self._check_batches()
        self._check_journal()
        self._check_ends()
        return self.findings

    def _check_items(self) -> None:
        for key, entry in self._source.items():
            if not _wanted(key, entry):
                continue
            self.findings.objects += 1
            row = self._inventory.get(key)
            if row is None:
                self.findings.add("lost", f"{key} is not in the inventory")
                continue
            object_id, version, duplicate_of = row
            stored = self._by_id.get(object_id)
            if stored is None or stored.state != "active" or version != entry.etag:
                self.findings.add("lost", f"{key} has no active object of its version")
            elif duplicate_of is None and stored.version != entry.etag:
                self.findings.add("lost", f"the object of {key} has another version")
            elif [blob["sha256"] for blob in stored.blobs] != [hashlib.sha256(entry.data).hexdigest()]:
                self.findings.add("torn", f"the object of {key} has other bytes")

    def _check_objects(self) -> None:
        contents: Counter[str] = Counter()
        for key, versions in self._objects.items():
            active = [one for one in versions if one.state == "active"]
            if len(active) > 1:
                self.findings.add("duplicated", f"{key} has {len(active)} objects")
            if not active:
                continue
            entry = self._source.get(key)
            if entry is None or not _accepted(key, entry):
                self.findings.add("other", f"{key} still has an object")
            elif entry.data and key not in self._world.storage.changed:
                contents[active[0].blobs[0]["sha256"]] += 1
        for sha256, count in contents.items():
            if count > 1:
                self.findings.add("duplicated", f"{count} objects were made of the bytes {sha256[:12]}")
        for key in self._inventory.keys() - self._source.keys():
            self.findings.add("other", f"{key} is gone and still in the inventory")

    def _check_blobs(self) -> None:
        folder = self._world.home / "blobs"
        held = {}
        for path in folder.glob("[0-9a-f][0-9a-f]/*"):
            self.findings.blobs += 1
            data = path.read_bytes()
            held[path.name] = len(data)
            if hashlib.sha256(data).hexdigest() != path.name:
                self.findings.add("torn", f"blob {path.name[:12]} holds other bytes")
        for key, versions in self._objects.items():
            for blob in (blob for one in versions if one.state == "active" for blob in one.blobs):
                if held.get(blob["sha256"]) != blob["size_bytes"]:
                    self.findings.add("lost", f"blob {blob['sha256'][:12]} of {key} is not held whole")

    def _check_dead_letters(self) -> None:
        rows = self._world.books.rows("SELECT source_object_id, version, state, retry_count FROM dead_letters")
        letters = {_key(row[0]): row[1:] for row in rows}
        for key, entry in self._source.items():
            if not _accepted(key, entry) or _wanted(key, entry):
                continue
            version, state, retries = letters.get(key, ("", "none", 0))
            if (version, state) != (entry.etag, "quarantined"):
                self.findings.add("lost", f"the dead letter of {key} is {state}")
            elif key == POISON and retries != MOST_READS_OF_TORN - 1:
                self.findings.add("other", f"{key} was quarantined after {retries} retries")
        for key, (_, state, _) in letters.items():
            there = self._source.get(key)
            if state in ("waiting", "quarantined") and (there is None or _wanted(key, there)):
                self.findings.add("other", f"the dead letter of {key} is still {state}")
        reads = self._world.storage.reads[POISON]
        if reads > MOST_READS_OF_TORN:
            self.findings.add("other", f"{POISON} was tried {reads} times")

    def _check_batches(self) -> None:
        rows = self._world.books.rows("SELECT batch_id, state, task_id FROM batches")
        recorded = {batch_id: (state, task_id) for batch_id, state, task_id in rows}
        submissions = self._world.storage.submissions
        for key, submission in submissions.items():
            if submission.batch_id not in recorded:
                self.findings.add("double-submitted", f"batch {submission.batch_id} was submitted and is not known")
            elif recorded[submission.batch_id] != ("submitted", f"task-{key}"):
                self.findings.add("other", f"batch {submission.batch_id} is {recorded[submission.batch_id]}")
        for batch_id in recorded.keys() - {one.batch_id for one in submissions.values()}:
            self.findings.add("lost", f"batch {batch_id} was never submitted")
        for kind, sentence in self._world.storage.refused:
            self.findings.add(kind, sentence)
        self._check_members(Counter(member for one in submissions.values() for member in one.members))
        for path in (self._world.home / "manifests").glob("*.parquet"):
            if path.read_bytes()[-4:] != b"PAR1":
                self.findings.add("torn", f"manifest {path.name} is cut short")

    def _check_members(self, members: Counter[tuple[str, str]]) -> None:
        for (object_id, version), count in members.items():
            if count > 1:
                sentence = f"version {version[:8]} of {object_id} was handed over {count} times"
                self.findings.add("double-submitted", sentence)
        for key, versions in self._objects.items():
            for one in versions:
                if one.state == "active" and not members[one.object_id, one.version]:
                    self.findings.add("lost", f"the object of {key} is in no submitted batch")

    def _check_journal(self) -> None:
        for what, key in self._world.books.rows("SELECT what, key FROM audit_journal"):
            if what in ("fence went back", "position went back"):
                self.findings.add("other", what)
            elif _key(key) not in self._world.storage.deleted:
                self.findings.add("wrongly removed", f"{_key(key)} was {what}")

    def _check_ends(self) -> None:
        books = self._world.books
        for table in ("intents", "checkpoints", "outbox"):
            if count := books.rows(f"SELECT count(*) FROM {table}")[0][0]:
                self.findings.add("other", f"{count} rows are left in {table}")
        if books.rows("SELECT 1 FROM leases WHERE holder <> ''"):
            self.findings.add("other", "the lease is still held")
        if books.rows("SELECT 1 FROM runs WHERE status = 'running'"):
            self.findings.add("other", "a run that is over says running")


def _key(source_object_id: str) -> str:
    return source_object_id.rpartition(f"/{BUCKET}/")[2]


def _accepted(key: str, entry: Entry) -> bool:
    return not key.endswith(EXCLUDED) and entry.modified >= SYNC_FROM


def _wanted(key: str, entry: Entry) -> bool:
    """Whether the item must have an object."""
    return _accepted(key, entry) and not entry.corrupt and entry.storage_class == "STANDARD" and key != FATAL
