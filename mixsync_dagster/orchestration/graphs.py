"""The graph of a run: the stages in their order, the shards side by side."""

from collections.abc import Callable
from functools import cache
from typing import Any

from dagster import GraphDefinition, OpDefinition, config_mapping, graph, op

from mixsync_dagster.orchestration import ops


def _of_begin_run(config: ops.SyncBucketConfig) -> dict[str, Any]:
    return {"begin_run": {"config": {"sync": config.sync, "full_sync": config.full_sync}}}


@config_mapping
def _asset_config(config: ops.SyncBucketConfig) -> dict[str, Any]:
    return _of_begin_run(config)


@config_mapping
def job_config(config: ops.SyncBucketConfig) -> dict[str, Any]:
    """Put the job's config at the root of its run config."""
    return {"ops": _of_begin_run(config)}


@cache
def _step(function: Callable[..., Any], pool: str | None = None) -> OpDefinition:
    """Return the op of a stage; one with a pool is another definition, which Dagster wants another name for."""
    how = _HOW[function]
    if pool is None:
        return op(name=function.__name__, **how)(function)
    return op(name=f"{function.__name__}_in_{pool}", pool=pool, **how)(function)


_HOW: dict[Callable[..., Any], dict[str, Any]] = {
    ops.begin_run: {"out": ops.BEGUN_OUT, "ins": ops.SOURCE_IN},
    ops.list_items: {"out": ops.SHARDS_OUT},
    ops.filter_items: {"out": ops.SHARD_OUT},
    ops.plan_changes: {"out": ops.SHARD_OUT},
    ops.map_schema: {"out": ops.SHARD_OUT},
    ops.create_objects: {"out": ops.COUNTERS_OUT},
    ops.submit_batches: {"out": ops.COUNTERS_OUT},
    ops.finish_run: {"out": ops.RESULT_OUT},
}

_AT_THE_PROVIDER = frozenset({ops.list_items, ops.map_schema, ops.create_objects})
"""Stages that talk to the provider: a connection's pool bounds how many of them go on at once."""


@cache
def sync_graph(*, pool: str | None = None, for_asset: bool = False) -> GraphDefinition:
    """Return the graph; with `for_asset`, one that takes the source as its input and its config as one mapping."""

    def stage(function: Callable[..., Any], *values: Any) -> Any:
        step = _step(function, pool if function in _AT_THE_PROVIDER else None)
        return step.alias(function.__name__)(*values)

    def stages(begun: Any) -> Any:
        def one(work: Any) -> Any:
            for function in (ops.filter_items, ops.plan_changes, ops.map_schema, ops.create_objects):
                work = stage(function, work)
            return work

        created = stage(ops.list_items, begun).map(one).collect()
        return stage(ops.finish_run, stage(ops.submit_batches, created))

    if not for_asset:

        @graph(name="sync_bucket")
        def alone() -> Any:
            return stages(stage(ops.begin_run))

        return alone

    @graph(name="sync_bucket_asset", config=_asset_config)
    def behind_asset(source: Any) -> Any:
        return stages(stage(ops.begin_run, source))

    return behind_asset
