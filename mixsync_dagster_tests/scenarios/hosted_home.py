"""A home whose bucket is at the simulated hosted service; what it holds is read there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from mixsync_dagster.testing.mixpeek_simulator import API_KEY, NAMESPACE, MixpeekSimulator
from mixsync_dagster_tests.scenarios.homes import BUCKET, Home
from mixsync_dagster_tests.scenarios.worlds import Held

_PROPERTIES = {"content": {"type": "text"}, "team": {"type": "string"}, "folder": {"type": "string"}}


@dataclass
class HostedHome(Home):
    """A Home over a service of its own; the path of an object is the one thing that is read from the catalog."""

    service: MixpeekSimulator = field(default_factory=MixpeekSimulator)

    def define(self, **changes: Any) -> None:
        """Apply a definition of the bucket that moves it to the service, then what every home defines."""
        self.world.environment["SCENARIO_MIXPEEK_KEY"] = API_KEY
        if BUCKET not in self.service.buckets:
            self.service.add_bucket(BUCKET, _PROPERTIES)
        there = {"base_url": self.service.url, "namespace": NAMESPACE, "api_key": {"env": "SCENARIO_MIXPEEK_KEY"}}
        file = self.path / "bucket.yaml"
        file.write_text(json.dumps({"buckets": {BUCKET: {"destination": "mixpeek", "mixpeek": there}}}))
        self.mixsync("apply", str(file))
        file.unlink()

    @property
    def objects(self) -> list[dict[str, Any]]:
        """The objects that the service has."""
        return list(self.service.buckets[BUCKET].objects.values())

    def held(self) -> dict[str, Held]:
        """Return what the service holds, by source object id; bytes are hashed as they lie there."""
        ours = {object_id: path for path, object_id in self.object_ids().items()}
        bucket = self.service.buckets[BUCKET]
        found: dict[str, Held] = {}
        for one in self.objects:
            provider, _, source_object_id = one["mixsync_source"].partition(":")
            assert provider == self.world.provider
            assert source_object_id not in found, f"{source_object_id} has two objects"
            (blob,) = one["blobs"]
            content = bucket.contents[one["object_id"], blob["blob_id"]]
            fields = {name: one[name] for name in ("team", "folder") if one.get(name) is not None}
            path = ours[one["mixsync_object_id"]]
            found[source_object_id] = Held(path, fields, hashlib.sha256(content).hexdigest())
        return found

    def assert_processed(self) -> None:
        """Compare the batches: every object that is there was handed over in its version, and no draft is left."""
        batches = self.service.buckets[BUCKET].batches.values()
        assert all(one.submitted_at is not None and one.submit_requests == 1 for one in batches)
        handed_over = [object_id for one in batches for object_id in one.record["object_ids"]]
        assert len(handed_over) == len(set(handed_over))
        assert {one["object_id"] for one in self.objects} <= set(handed_over)

    def close(self) -> None:
        """Let go of the service; what is beneath is its maker's."""
        self.service.close()


@contextmanager
def hosted(home: Home) -> Iterator[HostedHome]:
    """Give the same home with its bucket, which is empty yet, moved to a service of its own."""
    moved = HostedHome(home.path, home.books, home.world, home.forks, outputs=home.outputs + 1000)
    try:
        moved.define()
        yield moved
    finally:
        moved.close()
