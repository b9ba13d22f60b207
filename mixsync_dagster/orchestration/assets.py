"""Assets: one for each named sync, the provider's paths as external ones, and problems of the configuration."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    AssetsDefinition,
    AssetSelection,
    AssetSpec,
    MetadataValue,
    define_asset_job,
    multi_asset_check,
)

from mixsync_dagster.orchestration.graphs import sync_graph
from mixsync_dagster.orchestration.jobs import RUN_TAGS
from mixsync_dagster.orchestration.monitoring import OUTBOX, STUCK, standings
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.snapshot import NamedSync, Problem
from mixsync_dagster.orchestration.translator import MONITOR, SyncTranslator, in_words, problem_group, problem_key

SHOWN_LETTERS = 1000
"""Dead letters that a check counts."""

FAILURE_RATE = 0.05
"""Share of failed items above which the check warns."""


def sync_asset(sync: NamedSync) -> AssetsDefinition:
    """Return the asset of a named sync: its graph with the sync filled in, materialized once a run."""
    names = SyncTranslator(sync)
    graph = sync_graph(pool=names.pool, for_asset=True)
    asset = AssetsDefinition.from_graph(
        graph.configured({"sync": sync.sync_config_id}, name=names.graph_name),
        keys_by_input_name={"source": names.source_key},
        keys_by_output_name={"result": names.asset_key},
        group_name=names.group,
        descriptions_by_output_name={"result": names.asset_description},
        metadata_by_output_name={
            "result": {
                "sync": sync.name,
                "sync_config_id": sync.sync_config_id,
                "bucket_id": sync.bucket_id,
                "source_path": sync.source_path,
                "mode": sync.mode.value,
                "polling_interval_seconds": sync.interval_seconds,
            }
        },
    )
    return asset.map_asset_specs(lambda spec: spec.replace_attributes(kinds=names.kinds))


def sync_job(sync: NamedSync) -> Any:
    """Return the job that materializes a named sync's asset and checks it."""
    names = SyncTranslator(sync)
    return define_asset_job(
        names.job_name,
        selection=AssetSelection.assets(names.asset_key),
        description=names.job_description,
        tags={**RUN_TAGS, **names.tags},
    )


def source_assets(syncs: Iterable[NamedSync]) -> list[AssetSpec]:
    """Return the provider's paths that syncs read, each once; in the order of the syncs."""
    found: dict[AssetKey, AssetSpec] = {}
    for sync in syncs:
        names = SyncTranslator(sync)
        found.setdefault(
            names.source_key,
            AssetSpec(
                names.source_key,
                description=f"`{sync.source_path}` at {sync.provider}, read by connection `{sync.connection_name}`. "
                "Filled by others; mixsync only reads it.",
                group_name="sources",
                kinds={sync.provider},
                metadata={"source_path": sync.source_path, "connection": sync.connection_name},
            ),
        )
    return list(found.values())


def problem_assets(problems: Iterable[Problem]) -> list[AssetSpec]:
    """Return an external asset for each subject that has problems, which says them."""
    said: dict[AssetKey, list[Problem]] = {}
    for problem in problems:
        said.setdefault(problem_key(problem), []).append(problem)
    return [
        AssetSpec(
            key,
            description="**This configuration is not in force.**\n\n"
            + "\n".join(f"- {line}" for one in found for line in one.sentence.splitlines()),
            group_name=problem_group(),
            kinds={"yaml"},
            metadata={
                "problem": MetadataValue.text("\n".join(one.sentence for one in found)),
                "about": found[0].subject,
            },
        )
        for key, found in said.items()
    ]


def sync_checks(sync: NamedSync) -> AssetChecksDefinition:
    """Return the checks of a named sync's asset; they read the state store only and block nothing."""
    names = SyncTranslator(sync)
    key = names.asset_key
    specs = [
        AssetCheckSpec(
            "dead_letters",
            asset=key,
            description=f"No item is kept aside as a dead letter. Counts no further than {SHOWN_LETTERS:,}.",
        ),
        AssetCheckSpec(
            "failure_rate", asset=key, description=f"At most {FAILURE_RATE:.0%} of the last run's items failed."
        ),
        AssetCheckSpec(
            "staleness",
            asset=key,
            description="The last successful run is at most two intervals old; two minutes are always allowed.",
        ),
        AssetCheckSpec(
            OUTBOX,
            asset=key,
            description="No batch has waited to be submitted for longer than two intervals; ten minutes are always "
            f"allowed. Looked at by {MONITOR} each minute, too.",
        ),
        AssetCheckSpec(
            STUCK,
            asset=key,
            description="No run is due for longer than two intervals, a quarter of an hour being allowed, and no "
            f"worker that is gone holds the lock. Looked at by {MONITOR} each minute, too.",
        ),
    ]

    @multi_asset_check(specs=specs, name=f"{names.graph_name}_checks")
    def check(mixsync: MixsyncServices) -> Iterator[AssetCheckResult]:
        yield from _results(mixsync, sync.sync_config_id, specs)

    return check


def _results(
    mixsync: MixsyncServices, sync_config_id: str, specs: Sequence[AssetCheckSpec]
) -> Iterator[AssetCheckResult]:
    # Needed by checks, not by definitions.
    from mixsync_dagster.control.health import health_of

    store, now = mixsync.store, mixsync.services.clock.now()
    sync = store.load_sync(sync_config_id)
    health = health_of(store, [sync], now)[sync_config_id]
    letters = store.list_dead_letters(sync_config_id, limit=SHOWN_LETTERS)
    yield _result(specs[0], {"dead_letters": len(letters)}, passed=not letters)

    runs = store.list_runs(sync_config_id, limit=1)
    failed, discovered = (runs[0].counters.failed, runs[0].counters.discovered) if runs else (0, 0)
    rate = failed / discovered if discovered else 0.0
    told: dict[str, float | str] = {"failure_rate": rate, "failed": failed, "discovered": discovered}
    yield _result(specs[1], told, passed=rate <= FAILURE_RATE)

    # Two minutes at least: a short interval is often missed by the length of one run.
    allowed = timedelta(seconds=max(2 * sync.polling_interval_seconds, 120))
    since = None if sync.last_sync_at is None else now - sync.last_sync_at
    stale = sync.next_sync_at is not None and not sync.paused and (since is None or since > allowed)
    age: float | str = "no run has succeeded yet" if since is None else round(since.total_seconds(), 1)
    # As text: every number here is plotted, and a constant one says nothing.
    stated = {"seconds_since_last_sync": age, "allowed": in_words(int(allowed.total_seconds()))}
    yield _result(specs[2], stated, passed=not stale)

    for spec, standing in zip(specs[3:], standings(sync, health), strict=True):
        yield _result(spec, standing.numbers, passed=standing.passed)


def _result(spec: AssetCheckSpec, told: Mapping[str, float | str], *, passed: bool) -> AssetCheckResult:
    return AssetCheckResult(
        asset_key=spec.asset_key,
        check_name=spec.name,
        passed=passed,
        severity=AssetCheckSeverity.WARN,
        metadata=dict(told),
    )
