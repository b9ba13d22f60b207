"""A home in this process that syncs a small S3-protocol server into a bucket at the simulated service."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixsync_dagster.control.definitions import AppliedSet, apply_definitions
from mixsync_dagster.control.yaml_files import load_definitions
from mixsync_dagster.destinations import schema_at_service
from mixsync_dagster.engine.run import run_sync
from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster.settings import Settings
from mixsync_dagster.testing.mixpeek_simulator import API_KEY, NAMESPACE, MixpeekSimulator
from mixsync_dagster.wiring import Services, offered
from mixsync_dagster_tests.faults.storage import BUCKET as STORAGE_BUCKET
from mixsync_dagster_tests.faults.storage import Storage, StorageServer

BUCKET, SYNC = "bkt_media", "everything"
_KEY = "LOOPBACK-KEY"
_SECRET = "loopback-secret-of-no-value"
_RUNS = itertools.count(1)


@dataclass
class HostedHome:
    """The services of one home, its source and its destination."""

    path: Path
    services: Services
    storage: Storage
    server: StorageServer
    service: MixpeekSimulator

    def definitions(self, **sync: Any) -> Mapping[str, Any]:
        """Return connection, bucket and sync as YAML says them; `sync` is what the sync has beside its places."""
        credentials = {"type": "access_key", "access_key_id": _KEY, "secret_access_key": _SECRET}
        source = {"region": "us-east-1", "endpoint_url": self.server.url, "use_ssl": False, "dialect": "minio"}
        connection = {"provider_type": "s3", "provider_config": {**source, "credentials": credentials}}
        there = {"base_url": self.service.url, "namespace": NAMESPACE, "api_key": API_KEY}
        places = {"bucket_id": BUCKET, "connection_id": "storage", "source_path": STORAGE_BUCKET}
        return {
            "connections": {"storage": connection},
            "buckets": {BUCKET: {"destination": "mixpeek", "mixpeek": there}},
            "syncs": {SYNC: {**places, **sync}},
        }

    def apply(self, *, check: bool = False, **sync: Any) -> AppliedSet:
        """Store the definitions; `check` asks the service first."""
        file = self.path / "definitions.yaml"
        # JSON is YAML.
        file.write_text(json.dumps(self.definitions(**sync)))
        return apply_definitions(
            self.services.store,
            load_definitions([file]),
            offered=offered(),
            lookup=lambda _name: None,
            clock=self.services.clock,
            check_bucket=(lambda bucket: schema_at_service(self.services, bucket)) if check else None,
        )

    def run(self, *, full_sync: bool = False) -> RunRecord:
        """Run the sync once."""
        sync = self.services.store.get_sync(SYNC)
        tools = self.services.tools_for(sync, approve_removals=True)
        try:
            run_id = f"run-{next(_RUNS)}"
            return run_sync(tools, sync.sync_config_id, worker_id="w", sync_run_id=run_id, full_sync=full_sync)
        finally:
            tools.close()


@contextmanager
def hosted_home(path: Path, service: MixpeekSimulator) -> Iterator[HostedHome]:
    """Give a home with an empty source; nothing is defined yet."""
    settings = Settings.load({"MIXSYNC_HOME": str(path / "home")})
    Services.init(settings)
    storage = Storage()
    with StorageServer() as server, Services.open(settings) as services:
        server.add(_KEY, storage)
        yield HostedHome(path, services, storage, server, service)
