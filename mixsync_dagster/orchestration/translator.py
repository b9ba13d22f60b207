"""Names, groups and texts of everything that Dagster shows, in one place."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from dagster import AssetKey

from mixsync_dagster.model.syncs import SyncMode
from mixsync_dagster.orchestration.snapshot import NamedSync, Problem

SYNC_ID_TAG = "mixsync/sync_config_id"
SYNC_NAME_TAG = "mixsync/sync"
"""The sync's name, for people; everything else goes by the id."""
RUN_ID_TAG = "mixsync/sync_run_id"
DISPATCH_TAG = "mixsync/dispatch"
"""Number of the claim that a run was started for; absent on runs that a person starts."""
TRIGGER_TAG = "mixsync/trigger"
FULL_SYNC_TAG = "mixsync/full_sync"
"""`true` asks a run of a named sync for a pass from the start; `sync_bucket` has it in its run config."""
CHANGED_TAG = "mixsync/changed"
"""On a probing run: the ids of the syncs that it found changed, with commas between."""

LAUNCH_TAG = ".dagster/grpc_info"
"""Dagster's own note of the code server that launched the run; see `processes.server_is_gone`."""

PROCESS_TAG = "mixsync/process"
"""The process that all steps of the run are made in, where there is one; see `processes.this_process`."""

DISPATCHER = "mixsync_dispatcher"
REAPER = "mixsync_reaper"
MONITOR = "mixsync_monitor"
PROCESSING = "mixsync_processing"

_UNWANTED = re.compile(r"[^a-z0-9_]+")
_PROBLEMS_GROUP = "mixsync_problems"
_RESERVED = frozenset({"bucket"})
"""Slugs whose job would be called as one of ours (`sync_bucket`)."""


def slug(name: str) -> str:
    """Return a name that Dagster takes (a-z, 0-9, _), made from any other; not empty, not unique."""
    made = _UNWANTED.sub("_", name.lower()).strip("_")
    return made or "x" + hashlib.blake2b(name.encode(), digest_size=4).hexdigest()


def in_words(seconds: int) -> str:
    """Return a whole number of seconds as people say it: `45 seconds`, `minute`, `15 minutes`, `2 hours`."""
    for unit, length in (("hour", 3600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            return unit if seconds == length else f"{seconds // length} {unit}s"
    return f"{seconds} seconds"


@dataclass(frozen=True, slots=True)
class SyncTranslator:
    """How one named sync is called in Dagster."""

    sync: NamedSync

    @property
    def slug(self) -> str:
        """The sync's name in Dagster's alphabet."""
        return slug(self.sync.name)

    @property
    def asset_key(self) -> AssetKey:
        """Namespace, bucket and sync."""
        return AssetKey([slug(self.sync.namespace_id), slug(self.sync.bucket_id), self.slug])

    @property
    def source_key(self) -> AssetKey:
        """Provider, container and the folders of the source path; shared by syncs that read the same place."""
        folders = [slug(part) for part in self.sync.source_path.split("/") if part]
        return AssetKey([slug(self.sync.provider), *folders])

    @property
    def graph_name(self) -> str:
        """The graph behind the asset; prefixes the names of its steps."""
        return self.slug if not self.slug[0].isdigit() else f"sync_{self.slug}"

    @property
    def job_name(self) -> str:
        """The job that materializes the asset."""
        return f"sync_{self.slug}"

    @property
    def automation_name(self) -> str:
        """The sensor or schedule: its mode and the sync."""
        return f"{self.sync.mode.value}_{self.slug}"

    @property
    def group(self) -> str:
        """Assets of one bucket stand together."""
        return slug(self.sync.bucket_id)

    @property
    def kinds(self) -> set[str]:
        """Badges of the asset."""
        return {self.sync.provider, "bucket"}

    @property
    def pool(self) -> str:
        """The pool that bounds how many runs use the sync's connection at once."""
        return f"connection_{slug(self.sync.connection_name)}"

    @property
    def tags(self) -> dict[str, str]:
        """Tags of every run of the sync."""
        return {SYNC_ID_TAG: self.sync.sync_config_id}

    @property
    def rhythm(self) -> str:
        """When the sync runs, in words."""
        return {
            SyncMode.CONTINUOUS: f"continuously, looking for changes every {in_words(self.sync.interval_seconds)}",
            SyncMode.ONE_TIME: "once",
            SyncMode.SCHEDULED: f"every {in_words(self.sync.interval_seconds)}, at a fixed rhythm",
        }[self.sync.mode]

    @property
    def asset_description(self) -> str:
        """Markdown for the asset's page."""
        sync = self.sync
        lines = [
            (
                f"Objects of bucket `{sync.bucket_id}`, kept in step with `{sync.source_path}` "
                f"({sync.provider}, connection `{sync.connection_name}`)."
            ),
            "",
            f"- **Runs** {self.rhythm}",
            f"- **Files taken**: {sync.filters or 'all under the source path'}",
            f"- **Sync** `{sync.name}`, id `{sync.sync_config_id}`",
            "",
            "A downstream asset that takes this one as its input gets the bucket's objects as a pandas DataFrame.",
        ]
        return "\n".join([sync.description, "", *lines] if sync.description else lines)

    @property
    def automation_description(self) -> str:
        """What the sensor or schedule does; plain text, for these pages show no Markdown."""
        return f"Runs sync {self.sync.name} {self.rhythm}. Looks cheaply first; only changes become runs."

    @property
    def job_description(self) -> str:
        """What the job does."""
        return (
            f"One run of sync `{self.sync.name}` now, whether or not it is due. "
            f"Set the tag `{FULL_SYNC_TAG}` to `true` for a pass from the start."
        )


def problem_key(problem: Problem) -> AssetKey:
    """Return the key of the external asset that shows a problem."""
    return AssetKey(["mixsync", "configuration_problems", slug(problem.subject)])


def problem_group() -> str:
    """Return the group in which problems stand."""
    return _PROBLEMS_GROUP


def tell_apart(syncs: Iterable[NamedSync]) -> tuple[list[NamedSync], list[Problem]]:
    """Return the syncs whose names differ in Dagster's alphabet, first come first served, and a problem for the others.

    The others still run: the dispatcher serves whatever has no definition of its own.
    """
    kept: dict[str, NamedSync] = {}
    problems: list[Problem] = []
    for sync in syncs:
        name = slug(sync.name)
        if name in _RESERVED:
            problems.append(_unnamed(sync, f"`sync_{name}` is a job of its own here"))
        elif name in kept:
            problems.append(_unnamed(sync, f"its name and `{kept[name].name}` are both `{name}` in Dagster"))
        else:
            kept[name] = sync
    return list(kept.values()), problems


def _unnamed(sync: NamedSync, reason: str) -> Problem:
    return Problem(
        subject=f"sync {sync.name}",
        sentence=f"sync {sync.name} has no asset and sensor of its own, for {reason}; rename one of them. "
        f"It runs all the same, by the sensor {DISPATCHER}.",
    )
