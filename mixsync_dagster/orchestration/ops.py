"""The stages of a run as ops: each attaches to the run, calls the engine's stage of the same name, and hands on.

`sync_graph` puts them together, as a job of its own and behind the asset of each named sync.
"""

from collections.abc import Iterator
from typing import Any

from dagster import (
    Config,
    DynamicOut,
    DynamicOutput,
    Failure,
    In,
    Nothing,
    OpExecutionContext,
    Out,
    Output,
    ResourceParam,
)
from pydantic import Field

from mixsync_dagster.errors import AlreadyLocked, Conflict
from mixsync_dagster.model.progress import Outcome, Trigger
from mixsync_dagster.orchestration.metadata import run_metadata
from mixsync_dagster.orchestration.parquet_io import TICKET, ParquetIOManager, RunShard
from mixsync_dagster.orchestration.resources import MixsyncServices
from mixsync_dagster.orchestration.running import (
    SPOOL_KEY,
    claimed,
    run_id_of,
    running,
    runs_several,
    sweep_spool,
    tag_run,
    told,
)
from mixsync_dagster.orchestration.translator import DISPATCH_TAG, FULL_SYNC_TAG, TRIGGER_TAG

Values = dict[str, Any]
Spooling = ResourceParam[ParquetIOManager]


class SyncBucketConfig(Config):
    """Which sync to run, and how."""

    sync: str = Field(description="Id or name of the sync, as `mixsync syncs` lists it.")
    full_sync: bool = Field(
        default=False,
        description="Begin a new pass from the start even when an unfinished one could be resumed.",
    )


def begin_run(
    context: OpExecutionContext, config: SyncBucketConfig, mixsync: MixsyncServices, mixsync_spool: Spooling
) -> Iterator[Output[Values]]:
    """Take the sync's lock, settle what a crash left open, and decide where the pass begins.

    Ends the run, successfully and with nothing done, while another worker holds the sync or when the dispatch that
    started it has been overtaken.
    """
    from mixsync_dagster.engine.beginning import begin_run as begin

    tags = context.run.tags
    with told():
        sync = mixsync.store.get_sync(config.sync)
        tag_run(context, sync)
        if not claimed(mixsync, context, sync):
            context.log.info("Skipped: another run of sync %s was started instead of this one.", sync.name)
            return
        try:
            ticket = begin(
                mixsync.tools(sync),
                sync.sync_config_id,
                worker_id=f"dagster:{context.run_id[:8]}",
                sync_run_id=run_id_of(context, sync),
                trigger=Trigger(tags.get(TRIGGER_TAG, Trigger.MANUAL)),
                full_sync=config.full_sync or tags.get(FULL_SYNC_TAG) == "true",
                dagster_run_id=context.run_id,
            )
        except AlreadyLocked as error:
            context.log.info("Skipped: %s", error)
            return
        except Conflict as error:
            if DISPATCH_TAG not in tags:
                raise
            context.log.info("Skipped: %s", error)
            return
    values = ticket.as_dict()
    with running(mixsync, values):
        sweep_spool(mixsync, mixsync_spool, context)
        yield Output({TICKET: values})


def list_items(mixsync: MixsyncServices, begun: Values) -> Iterator[DynamicOutput[RunShard]]:
    """List the source path, or what changed there, and cut it into shards of up to 50,000 entries."""
    from mixsync_dagster.engine.feeding import list_pass

    ticket = begun[TICKET]
    with running(mixsync, ticket) as run:
        for shard in list_pass(run):
            yield DynamicOutput(RunShard(ticket, shard), f"shard_{shard.number}", output_name="shards")


def filter_items(mixsync: MixsyncServices, work: RunShard) -> RunShard:
    """Evaluate the sync's file filters on the shard and count the verdicts by reason."""
    from mixsync_dagster.engine.filtering import filter_items as filtered

    with running(mixsync, work.ticket) as run:
        return RunShard(work.ticket, filtered(run, work.shard))


def plan_changes(mixsync: MixsyncServices, work: RunShard) -> RunShard:
    """Compare the shard with the inventory and keep what has to be created, replaced, moved or removed."""
    from mixsync_dagster.engine.planning import plan_changes as planned

    with running(mixsync, work.ticket) as run:
        return RunShard(work.ticket, planned(run, work.shard))


def map_schema(mixsync: MixsyncServices, work: RunShard) -> RunShard:
    """Read tags and metadata where the mapping asks for them, and extract the objects' fields."""
    from mixsync_dagster.engine.mapping import map_schema as mapped

    with running(mixsync, work.ticket) as run:
        return RunShard(work.ticket, mapped(run, work.shard))


def create_objects(mixsync: MixsyncServices, work: RunShard) -> Values:
    """Stream the bytes of the shard's items into the bucket, put their objects, and commit them with the progress.

    Also commits the position of a shard that has nothing to do, so every shard comes here.
    """
    from mixsync_dagster.engine.creating import create_objects as created

    with running(mixsync, work.ticket) as run:
        return {TICKET: dict(work.ticket), "counters": created(run, work.shard).as_dict()}


def submit_batches(mixsync: MixsyncServices, created: list[Values]) -> Values:
    """Cut new object versions into batches and hand each over for processing exactly once."""
    from mixsync_dagster.engine.batching import submit_batches as submitted

    # A listing has one shard at least, so there is always a ticket.
    ticket = created[0][TICKET]
    with running(mixsync, ticket) as run:
        return {TICKET: ticket, "counters": submitted(run).as_dict()}


def finish_run(
    context: OpExecutionContext, mixsync: MixsyncServices, mixsync_spool: Spooling, submitted: Values
) -> Values:
    """Remove what the source no longer has, count, decide when the sync is due again, and release the lock."""
    from mixsync_dagster.engine.finishing import finish_run as finish

    with running(mixsync, submitted[TICKET]) as run:
        record = finish(run)
        sync = mixsync.store.load_sync(run.sync.sync_config_id)
        objects = mixsync.store.count_objects(sync.bucket_id, sync_config_id=sync.sync_config_id)
    metadata = run_metadata(record, sync, object_count=objects)
    if not runs_several(context):
        # The others still hand tables on; a later run sweeps up behind them.
        mixsync_spool.spool.delete(context.run_id)
    if record.status == Outcome.FAILED:
        raise Failure(description=record.error or "the run failed.", metadata=metadata, allow_retries=False)
    if record.counters.failed:
        context.log.warning(
            "%d items failed and will be tried again; `mixsync dlq %s` tells why.", record.counters.failed, sync.name
        )
    context.add_output_metadata(metadata, output_name="result")
    return {"sync_run_id": record.sync_run_id, "status": record.status, **record.counters.as_dict()}


BEGUN_OUT = Out(dict, is_required=False, io_manager_key=SPOOL_KEY, description="What the run's steps share.")
SHARDS_OUT = {"shards": DynamicOut(RunShard, io_manager_key=SPOOL_KEY, description="Slices of the listing.")}
SHARD_OUT = Out(RunShard, io_manager_key=SPOOL_KEY, description="The shard, with this stage's columns.")
COUNTERS_OUT = Out(dict, io_manager_key=SPOOL_KEY, description="What this stage did, in counts.")
RESULT_OUT = {"result": Out(dict, io_manager_key="bucket_objects", description="The run's status and counters.")}
SOURCE_IN = {"source": In(Nothing, description="The provider's path, which somebody else fills.")}
