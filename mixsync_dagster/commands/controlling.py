"""Control: `pause`, `resume`, `trigger`, `unlock`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mixsync_dagster.commands.auditing import note
from mixsync_dagster.commands.shared import JsonFlag, SyncArgument, opened

if TYPE_CHECKING:
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.wiring import Services


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("pause", epilog="Example: `mixsync pause videos --reason maintenance`")(pause)
    app.command("resume", epilog="Example: `mixsync resume videos`")(resume)
    app.command("trigger", epilog="Example: `mixsync trigger videos --full`")(trigger)
    app.command("unlock", epilog="Example: `mixsync unlock videos`")(unlock)


def pause(
    sync: SyncArgument,
    reason: Annotated[str | None, typer.Option("--reason", help="Why; shown wherever the sync is.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """Start no new run of a sync; one that is under way ends by itself."""
    from mixsync_dagster.control import syncs
    from mixsync_dagster.control.references import find_sync

    with opened() as services:
        paused = syncs.pause(services.store, find_sync(services.store, sync), reason=reason)
        note(services, "pause", f"sync {paused.sync_config_id}")
    _tell(paused, json_output, f"Sync {paused.name} is paused ({paused.pause_reason}).")


def resume(sync: SyncArgument, json_output: JsonFlag = False) -> None:
    """Let a paused sync run again; it is due at once."""
    from mixsync_dagster.control import syncs
    from mixsync_dagster.control.references import find_sync

    with opened() as services:
        found = find_sync(services.store, sync)
        resumed = syncs.resume(services.store, found)
        note(services, "resume", f"sync {found.sync_config_id}")
    said = "is active again and due now" if found.paused else "was not paused"
    _tell(resumed, json_output, f"Sync {resumed.name} {said}.")


def unlock(sync: SyncArgument, json_output: JsonFlag = False) -> None:
    """Take a sync's lock away from a worker that is gone; a worker that is not stops and writes nothing more."""
    from mixsync_dagster.commands import output
    from mixsync_dagster.control import syncs
    from mixsync_dagster.control.references import find_sync

    with opened() as services:
        found = find_sync(services.store, sync)
        holder = syncs.unlock(services.store, found)
        note(services, "unlock", f"sync {found.sync_config_id}")
    if json_output:
        output.print_json({"success": True, "was_locked": holder is not None, "previous_worker_id": holder})
        return
    said = "was not locked" if holder is None else f"is free; worker {holder} held it"
    output.print_line(f"Sync {found.name} {said}.")


def _tell(sync: SyncConfiguration, json_output: bool, sentence: str) -> None:
    from mixsync_dagster.commands import output

    if json_output:
        output.print_json(sync.model_dump(mode="json"))
    else:
        output.print_line(sentence)


def trigger(
    sync: SyncArgument,
    full: Annotated[bool, typer.Option("--full", help="A pass from the start, even if one could be resumed.")] = False,
    wait: Annotated[float, typer.Option("--wait", min=0, max=600, help="Seconds to wait for the run to begin.")] = 20.0,
    json_output: JsonFlag = False,
) -> None:
    """Ask Dagster for a run of a sync now; `mixsync run` needs no Dagster.

    A running Dagster daemon with this code location starts it within seconds.
    """
    from mixsync_dagster.commands import output
    from mixsync_dagster.control import syncs
    from mixsync_dagster.control.references import find_sync

    with opened() as services:
        found = find_sync(services.store, sync)
        triggered = syncs.trigger(services.store, found, full_sync=full)
        note(services, "trigger", f"sync {found.sync_config_id}")
        status, said = "skipped_already_running", f"Sync {found.name} is running already"
        if not triggered.accepted:
            said += "; a full run follows it." if full else "."
        else:
            begun = _begun(services, found, wait_seconds=wait)
            status = "running" if begun else "dispatched"
            said = f"Sync {found.name} is running." if begun else _not_begun(found.name, wait)
    if json_output:
        output.print_json({"sync_config_id": found.sync_config_id, "status": status, "full_sync": full})
    else:
        output.print_line(said)


def _not_begun(name: str, wait_seconds: float) -> str:
    return (
        f"The run of sync {name} is asked for and has not begun within {wait_seconds:g} s; it begins when a Dagster "
        "daemon runs. Start one by `dagster dev -m mixsync_dagster.definitions`, or run it here by "
        f"`mixsync run {name}`."
    )


def _begun(services: Services, sync: SyncConfiguration, *, wait_seconds: float) -> bool:
    """Return whether a run began within the time."""
    deadline = services.clock.monotonic() + wait_seconds
    while services.store.get_sync(sync.sync_config_id).sync_run_counter == sync.sync_run_counter:
        if services.clock.monotonic() >= deadline:
            return False
        services.clock.sleep(0.25)
    return True
