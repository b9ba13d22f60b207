"""Running and looking ahead in the foreground: `run`, `plan`, `check`."""

from __future__ import annotations

import gc
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixsync_dagster.commands.failures import CommandFailed, ExitStatus, say
from mixsync_dagster.commands.shared import JsonFlag, SyncArgument, opened
from mixsync_dagster.errors import AlreadyLocked, LockLost, MixsyncError, NotFound

if TYPE_CHECKING:
    from mixsync_dagster.model.progress import RunRecord
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.ports.reporting import Reporter
    from mixsync_dagster.wiring import Services


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run", epilog="Example: `mixsync run videos --full`")(run)
    app.command("plan", epilog="Example: `mixsync plan videos --json`")(plan)
    app.command("check", epilog="Example: `mixsync check videos`, or `mixsync check media-s3`")(check)


def run(
    sync: SyncArgument,
    full: Annotated[
        bool, typer.Option("--full", help="List from the start, even if an interrupted pass could be resumed.")
    ] = False,
    approve_removals: Annotated[
        bool, typer.Option("--approve-removals", help="Let this run remove more objects at once than the guard allows.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Run a sync once in the foreground, by the engine alone, without Dagster.

    Exit status: 0 done, 1 failed, 3 done with failed items, 4 another worker runs it, 130 interrupted. A storage that
    cannot be reached is tried six times: the run fails within 40 seconds where connections are refused, and within 7
    minutes where they are taken and nothing is answered; `check` tells it sooner.
    """
    with ExitStack() as stack:
        with _loading():
            from mixsync_dagster.commands import output
            from mixsync_dagster.control.presenting import run_form
            from mixsync_dagster.control.references import find_sync

            services = stack.enter_context(opened())
            found = find_sync(services.store, sync)
        record = _run(services, found, full=full, approve_removals=approve_removals, quiet=json_output)
    if json_output:
        output.print_json(run_form(record))
    else:
        output.print_facts(_told(run_form(record)))
    if record.error:
        say(f"mixsync: {record.error}")
    raise typer.Exit(_status(record))


@contextmanager
def _loading() -> Iterator[None]:
    """Load modules without looking for garbage meanwhile, and never in them: they stay until the process ends.

    A fifth of the time of a short run.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run(services: Services, sync: SyncConfiguration, *, full: bool, approve_removals: bool, quiet: bool) -> RunRecord:
    """Return the run's record, also of one that failed; raises what stopped it before it began."""
    with _loading():
        from mixsync_dagster.control.owners import new_sync_run_id
        from mixsync_dagster.engine.run import run_sync

    sync_run_id = new_sync_run_id()
    with _progress(sync.name, quiet=quiet) as reporter:
        with _loading():
            tools = services.tools_for(sync, reporter=reporter, approve_removals=approve_removals)
        try:
            return run_sync(tools, sync.sync_config_id, worker_id=worker_id(), sync_run_id=sync_run_id, full_sync=full)
        except (AlreadyLocked, LockLost):
            # The record is not ours, or not any more: what it says is of another worker.
            raise
        except MixsyncError as error:
            try:
                record = services.store.get_run(sync_run_id)
            except NotFound:
                raise error from None
            if record.error is None:
                raise
            return record
        finally:
            tools.close()


def worker_id() -> str:
    """Return who this process is, for locks and records: host and process id."""
    return f"{platform.node() or 'localhost'}:{os.getpid()}"


def _progress(name: str, *, quiet: bool) -> AbstractContextManager[Reporter | None]:
    if quiet or not sys.stdout.isatty():
        return nullcontext(None)
    from mixsync_dagster.commands.progress import ProgressReporter

    return ProgressReporter(name)


def _status(record: RunRecord) -> ExitStatus:
    if record.status == "completed":
        return ExitStatus.DONE
    if record.status == "completed_with_errors":
        return ExitStatus.FAILED_ITEMS
    return ExitStatus.SKIPPED if record.status == "skipped" else ExitStatus.FAILED


def _told(form: Mapping[str, Any]) -> dict[str, object]:
    from mixsync_dagster.commands import output

    counted = (
        "discovered", "created", "replaced", "moved", "unchanged", "removed", "duplicates", "quarantined", "failed",
    )  # fmt: skip
    return {
        "status": form["status"],
        **{name: form[name] for name in counted if form[name] or name in ("discovered", "created", "unchanged")},
        "filtered": form["filtered"] or None,
        "transferred": output.size(form["bytes"]),
        "batches": form["batches_created"] or None,
        "rate limit hits": form["rate_limit_hits"] or None,
        "took": output.duration(form["duration_seconds"]),
        "run": form["sync_run_id"],
    }


def plan(sync: SyncArgument, json_output: JsonFlag = False) -> None:
    """Say what a run would do now, without reading content and without writing anything."""
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.references import find_sync
    from mixsync_dagster.engine.dry_run import plan_sync

    with opened() as services:
        found = find_sync(services.store, sync)
        tools = services.tools_for(found)
        try:
            told = plan_sync(tools, found)
        finally:
            tools.close()
    if json_output:
        output.print_json(asdict(told))
        return
    counts = {"create": told.create, "replace": told.replace, "move": told.move, "remove": told.remove}
    rows = [(kind, count, ", ".join(told.examples.get(kind, []))) for kind, count in counts.items()]
    rows += [("unchanged", told.unchanged, ""), ("quarantined", told.quarantined, "")]
    rows += [(f"rejected: {reason}", count, "") for reason, count in sorted(told.rejected.items())]
    output.print_table(("would", "items", "for example"), rows, empty="")
    output.print_line(f"{output.size(told.size_bytes)} to transfer by about {told.requests} requests.")


def check(
    target: Annotated[
        str, typer.Argument(metavar="SYNC|CONNECTION", help="Name or id of a sync or a connection.", show_default=False)
    ],
    json_output: JsonFlag = False,
) -> None:
    """Test a sync's connection and source path, or a connection by all syncs that use it. Exit 1 on a failure.

    A source path that gives no answer within MIXSYNC_CHECK_SECONDS (10) has failed. A hosted bucket is asked for its
    schema, which the sync's mapping has to fit.
    """
    from mixsync_dagster.commands import output

    with opened() as services:
        found = _checked_syncs(services, target)
        results = _results(services, found)
    if json_output:
        output.print_json_lines(results)
    else:
        rows = [(r["sync"], r["source_path"], "ok" if r["success"] else "failed", r["message"]) for r in results]
        output.print_table(("sync", "source path", "result", "message"), rows, empty="")
    if not all(result["success"] for result in results):
        raise typer.Exit(ExitStatus.FAILED)


def _checked_syncs(services: Services, target: str) -> list[SyncConfiguration]:
    from mixsync_dagster.control.references import find_connection, find_sync
    from mixsync_dagster.model.tenants import LOCAL_NAMESPACE

    try:
        return [services.store.get_sync(target)]
    except NotFound:
        pass
    try:
        connection = services.store.get_connection(target)
    except NotFound:
        if not services.store.list_connections(within=LOCAL_NAMESPACE):
            find_connection(services.store, target)
        find_sync(services.store, target)
        raise
    # Its references are resolved even if nothing uses it yet.
    services.connection_config(connection)
    using = list(services.store.list_syncs(connection_id=connection.connection_id))
    if not using:
        raise CommandFailed(
            f"connection {connection.name} can be read and its variables are set, but no sync uses it yet, so there is "
            "no source path to test; define a sync and check that."
        )
    return using


def _results(services: Services, syncs: Sequence[SyncConfiguration]) -> list[dict[str, Any]]:
    """Return what testing each sync's source path came to; many are tested at once."""
    from mixsync_dagster.control.checking import run_all

    errors = run_all([partial(_check, services, sync) for sync in syncs])
    return [
        {
            "sync": sync.name,
            "source_path": sync.source_path,
            "success": error is None,
            "message": "the source path can be listed" if error is None else str(error),
        }
        for sync, error in zip(syncs, errors, strict=True)
    ]


def _check(services: Services, sync: SyncConfiguration) -> None:
    from mixsync_dagster.destinations import check_filling

    connection = services.store.get_connection(sync.connection_id)
    services.check_source(
        services.usable_config(connection),
        sync.source_path,
        provider_filters=sync.provider_filters,
        internal_id=connection.internal_id,
    )
    check_filling(services, sync)
