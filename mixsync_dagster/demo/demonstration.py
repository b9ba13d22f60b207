"""The steps of the demonstration, without words: what the command tells about them is its own business."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixsync_dagster.control.definitions import AppliedSet, apply_definitions
from mixsync_dagster.control.yaml_files import load_definitions
from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.model.objects import StoredObject
from mixsync_dagster.model.progress import RunRecord
from mixsync_dagster.settings import Settings, child_environment
from mixsync_dagster.wiring import Services, offered

SYNC = "demo-media"
DEMO_BUCKET = "bkt_demo"
KEYS: Mapping[str, str] = {"MIXSYNC_DEMO_KEY": "AKIADEMO", "MIXSYNC_DEMO_SECRET": "loopback-only"}
"""The variables that the demo's YAML refers to; the server takes any value."""

DEFINITIONS = """\
connections:
  demo-s3:
    provider_type: s3
    provider_config:
      endpoint_url: {endpoint_url}
      dialect: minio
      credentials:
        type: access_key
        access_key_id: {{env: MIXSYNC_DEMO_KEY}}
        secret_access_key: {{env: MIXSYNC_DEMO_SECRET}}
buckets:
  {bucket}: {{description: What the demo syncs}}
syncs:
  {sync}:
    bucket_id: {bucket}
    connection_id: demo-s3
    source_path: {source_path}
    polling_interval_seconds: 30
    schema_mapping:
      mappings:
        content: {{target_type: blob, source: {{type: file}}}}
        category: {{target_type: field, source: {{type: tag, key: category}}, transform: lowercase}}
        owner: {{target_type: field, source: {{type: metadata, key: owner}}}}
        year: {{target_type: field, source: {{type: filename_regex, pattern: '_(\\d{{4}})\\.'}}}}
        folder: {{target_type: field, source: {{type: folder_path, segment: 0}}}}
        origin: {{target_type: field, source: {{type: constant, value: demo}}}}
"""

MODULE = "mixsync_dagster.definitions"
_TAIL_LINES = 25


class StepFailed(MixsyncError):
    """A step of the demo failed; the message ends with what its log says last."""


@dataclass(frozen=True, slots=True)
class Demo:
    """The folder of one demonstration, and what is run in it."""

    folder: Path

    @property
    def settings(self) -> Settings:
        """Settings of the demo's own home; the user's are not used."""
        home = self.folder / "home"
        return Settings(home=home, database_url=f"sqlite:///{home / 'state.db'}")

    @property
    def definitions_file(self) -> Path:
        """The YAML file that the demo applies."""
        return self.folder / "syncs.yaml"

    def environment(self) -> dict[str, str]:
        """Return the environment of the demo's processes: its own home and keys in place of the user's settings."""
        own = {"MIXSYNC_HOME": str(self.settings.home), "DAGSTER_HOME": str(self.settings.dagster_dir), **KEYS}
        return child_environment(own, without_prefix="MIXSYNC_")

    def apply(self, endpoint_url: str) -> AppliedSet:
        """Write the definitions of the demo and apply them."""
        text = DEFINITIONS.format(endpoint_url=endpoint_url, bucket=DEMO_BUCKET, sync=SYNC, source_path=BUCKET)
        self.definitions_file.write_text(text, encoding="utf-8")
        with Services.open(self.settings) as services:
            return apply_definitions(
                services.store,
                load_definitions([self.definitions_file]),
                offered=offered(),
                lookup=KEYS.get,
                clock=services.clock,
            )

    def run(self, name: str) -> RunRecord:
        """Run the sync through Dagster and return its record. Raises StepFailed."""
        config = self.folder / "run.yaml"
        config.write_text(f"sync: {SYNC}\n", encoding="utf-8")
        command = [
            sys.executable,
            "-m",
            "dagster",
            "job",
            "execute",
            "-m",
            MODULE,
            "-j",
            "sync_bucket",
            "-c",
            str(config),
        ]
        self.execute(command, self.folder / f"{name}.log")
        with Services.open(self.settings) as services:
            sync = services.store.get_sync(SYNC)
            record = services.store.list_runs(sync.sync_config_id, limit=1)[0]
        if record.status not in ("completed", "completed_with_errors"):
            raise StepFailed(f"the run ended {record.status}: {record.error}")
        return record

    def execute(self, command: Sequence[str], log: Path) -> None:
        """Run a process to its end, its output going to a log file. Raises StepFailed with the log's tail."""
        with log.open("wb") as output:
            ended = subprocess.run(  # noqa: S603 - our own interpreter and arguments
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=self.environment(),
                check=False,
            )
        if ended.returncode != 0:
            tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:])
            raise StepFailed(
                f"`{' '.join(command[1:6])} ...` ended with status {ended.returncode}; {log} ends:\n{tail}"
            )

    def objects(self) -> list[StoredObject]:
        """Return what the bucket holds, by path."""
        with Services.open(self.settings) as services:
            return sorted(services.store.list_objects(DEMO_BUCKET, limit=1_000), key=lambda one: one.source_path)


def compared(before: Sequence[StoredObject], after: Sequence[StoredObject]) -> list[tuple[str, StoredObject]]:
    """Return every object with what became of it: created, replaced, removed or unchanged; by path."""
    old = {one.object_id: one for one in before}
    new = {one.object_id: one for one in after}
    told = [("created" if one.object_id not in old else _change(old[one.object_id], one), one) for one in new.values()]
    told += [("removed", one) for one in old.values() if one.object_id not in new]
    return sorted(told, key=lambda pair: pair[1].source_path)


def _change(old: StoredObject, new: StoredObject) -> str:
    return "unchanged" if old.version == new.version else "replaced"
