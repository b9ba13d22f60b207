"""Single items: `explain` why one is or is not in the bucket, and `report` what a run did with each."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixsync_dagster.commands.shared import PAGE, JsonFlag, Limit, SyncArgument, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mixsync_dagster.model.progress import RunRecord
    from mixsync_dagster.ports.tracing import ItemOutcome, TraceStore

_FOR_EVER = float("inf")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("explain", epilog="Example: `mixsync explain videos films/a.mp4 --from-source`")(explain)
    app.command("report", epilog="Example: `mixsync report videos --json | jq 'select(.outcome == \"failed\")'`")(
        report
    )


def explain(
    sync: SyncArgument,
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="The item's path at its source, or its source object id.")
    ],
    from_source: Annotated[
        bool, typer.Option("--from-source", help="List the source as well, until the item is found.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Say why an item is or is not in the bucket: filtered by which rule, mapped how, failed why."""
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.references import find_sync
    from mixsync_dagster.engine.explaining import explain_item

    with opened() as services:
        found = find_sync(services.store, sync)
        tools = services.tools_for(found, patient=False)
        try:
            seconds = _FOR_EVER if from_source else None
            told = explain_item(tools, services.store, found, path, look_seconds=seconds)
        finally:
            tools.close()
    if json_output:
        output.print_json(told.as_dict())
        return
    facts: dict[str, Any] = {
        "path": told.path,
        "standing": told.standing,
        "reason": told.reason,
        "object": told.object_id,
        "version": told.version,
    }
    facts |= {
        f"filter {one.rule}": {None: "not known", True: "passes"}.get(one.passed, "fails") for one in told.filters
    }
    facts |= {f"{one.target_type} {one.target}": f"from {_source(one.source)}: {one.value}" for one in told.mapping}
    output.print_facts(facts)


def _source(source: dict[str, Any]) -> str:
    named = [str(value) for name, value in source.items() if name != "type"]
    return " ".join([str(source["type"]), *named])


def report(
    sync: SyncArgument,
    run: Annotated[str | None, typer.Argument(metavar="[RUN]", help="The run's id; the newest one otherwise.")] = None,
    limit: Limit = 1000,
    json_output: JsonFlag = False,
) -> None:
    """Say what a run did with each item; items that a later run worked on again are in that run's report."""
    from dataclasses import asdict

    from mixsync_dagster.commands import output
    from mixsync_dagster.control.references import find_sync
    from mixsync_dagster.errors import NotFound

    with opened() as services:
        found = find_sync(services.store, sync)
        runs = services.store.list_runs(found.sync_config_id, limit=1) if run is None else [services.store.get_run(run)]
        if not runs or runs[0].sync_config_id != found.sync_config_id:
            raise NotFound(f"sync {sync} has no run {run or 'yet'}; `mixsync runs {sync}` lists them.")
        outcomes = islice(_outcomes(services.store, runs[0]), limit)
        if json_output:
            output.print_json_lines({**asdict(one), "at": one.at.isoformat()} for one in outcomes)
            return
        rows = ((one.outcome, one.source_path, output.size(one.size_bytes), one.error_message) for one in outcomes)
        output.print_table(
            ("outcome", "path", "size", "error"), rows, empty="The run changed nothing that still stands."
        )


def _outcomes(store: TraceStore, run: RunRecord) -> Iterator[ItemOutcome]:
    after: tuple[str, str] | None = None
    more = True
    while more:
        page, more = store.run_outcomes(run, after=after, offset=0, limit=PAGE)
        yield from page
        after = (page[-1].source_object_id, page[-1].outcome) if page else None
