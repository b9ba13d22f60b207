"""Jobs that are there whatever is configured: one run of any sync, a dry run, a test of a connection, a long probe."""

from collections.abc import Callable
from typing import Any

from dagster import (
    Config,
    JobDefinition,
    MetadataValue,
    Nothing,
    OpExecutionContext,
    Out,
    config_mapping,
    graph,
    in_process_executor,
    op,
)
from pydantic import Field

from mixsync_dagster.orchestration.graphs import job_config, sync_graph
from mixsync_dagster.orchestration.metadata import plan_metadata
from mixsync_dagster.orchestration.probing import PROBE_SECONDS, probe_at_length
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.running import told
from mixsync_dagster.orchestration.translator import CHANGED_TAG

RUN_TAGS = {
    # A graph of dynamic steps cannot be repeated from its middle; progress is in the inventory, not in the steps.
    "dagster/retry_strategy": "ALL_STEPS",
    # The last net below the lock's own end; nothing useful takes longer, for a run that was cut short is resumed.
    "dagster/max_runtime": "86400",
}

SYNC_BUCKET = "sync_bucket"
PROBE_SYNCS = "probe_syncs"


class PlanSyncConfig(Config):
    """Which sync to look at."""

    sync: str = Field(description="Id or name of the sync, as `mixsync syncs` lists it.")


class TestConnectionConfig(Config):
    """Which connection to try, and on which path."""

    connection: str = Field(description="Id or name of the connection.")
    source_path: str = Field(description="A path that it should be able to list, e.g. `my-bucket/videos`.")


class ProbeSyncsConfig(Config):
    """Which syncs to look at."""

    syncs: list[str] = Field(description="Ids of the syncs, at most 200.")
    seconds: float = Field(
        default=PROBE_SECONDS, description="Longest time for one sync; what takes longer counts as changed."
    )


def plan_sync(context: OpExecutionContext, config: PlanSyncConfig, mixsync: MixsyncServices) -> None:
    """List the whole source path and show what a run would do now; reads no content and changes nothing."""
    from mixsync_dagster.engine.dry_run import plan_sync as plan

    with told():
        sync = mixsync.store.get_sync(config.sync)
        planned = plan(mixsync.tools(sync), sync)
    context.log.info(
        "sync %s: would create %d, replace %d, move %d, remove %d; %d bytes",
        sync.name,
        planned.create,
        planned.replace,
        planned.move,
        planned.remove,
        planned.size_bytes,
    )
    context.add_output_metadata(plan_metadata(planned))


def test_connection(context: OpExecutionContext, config: TestConnectionConfig, mixsync: MixsyncServices) -> None:
    """List one page of the path with the connection's credentials; fails with a sentence that says what is wrong."""
    with told():
        provider = mixsync.services.provider_for(config.connection, config.source_path)
        try:
            provider.check()
        finally:
            provider.close()
    said = f"Connection `{config.connection}` can list `{config.source_path}`."
    context.add_output_metadata({"usable": True, "said": MetadataValue.md(said)})


def probe_syncs(context: OpExecutionContext, config: ProbeSyncsConfig, mixsync: MixsyncServices) -> None:
    """Look at length whether syncs changed, where a sensor's tick was too short for it.

    Unchanged syncs are due again later. The ids of the others go on this run's tag `mixsync/changed`, from which the
    sensor that asked starts their runs at its next tick: it alone hands out run keys.
    """
    with told():
        services = mixsync.services
        found = probe_at_length(services.store, services.probe, services.clock, config.syncs, config.seconds)
    context.instance.add_run_tags(context.run_id, {CHANGED_TAG: ",".join(found.changed)})
    numbers = {"probed": len(config.syncs), "changed": len(found.changed), "unchanged": found.unchanged}
    context.add_output_metadata(numbers)


@config_mapping
def _plan_config(config: PlanSyncConfig) -> dict[str, Any]:
    return {"ops": {"plan_sync": {"config": {"sync": config.sync}}}}


@config_mapping
def _test_config(config: TestConnectionConfig) -> dict[str, Any]:
    given = {"connection": config.connection, "source_path": config.source_path}
    return {"ops": {"test_connection": {"config": given}}}


@config_mapping
def _probe_config(config: ProbeSyncsConfig) -> dict[str, Any]:
    return {"ops": {PROBE_SYNCS: {"config": {"syncs": config.syncs, "seconds": config.seconds}}}}


def sync_bucket_job() -> JobDefinition:
    """Return the job that runs any sync once."""
    return sync_graph().to_job(
        name=SYNC_BUCKET,
        description="One run of any sync. Run config: `{sync: <id or name>, full_sync: false}`.",
        config=job_config,
        tags=RUN_TAGS,
        executor_def=in_process_executor,
    )


def of_one(function: Callable[..., None], config: Any, description: str) -> JobDefinition:
    """Return a job of one op, whose config stands at the root of its run config."""
    step = op(name=function.__name__, out=Out(Nothing))(function)

    # A graph may not be called as its op.
    @graph(name=f"{function.__name__}_alone")
    def alone() -> None:
        step()

    return alone.to_job(
        name=function.__name__,
        config=config,
        description=description,
        tags=RUN_TAGS,
        executor_def=in_process_executor,
    )


def plan_sync_job() -> JobDefinition:
    """Return the job of a dry run."""
    return of_one(plan_sync, _plan_config, "Dry run: shows what a run of a sync would do now, and changes nothing.")


def test_connection_job() -> JobDefinition:
    """Return the job that tries a connection."""
    return of_one(test_connection, _test_config, "Tries a connection's credentials on a source path.")


def probe_syncs_job() -> JobDefinition:
    """Return the job by which sensors look at syncs that take longer than a tick."""
    return of_one(
        probe_syncs,
        _probe_config,
        "Looks whether up to 200 syncs changed, where a sensor's tick is too short for it. Started by sensors.",
    )
