"""Dead letters: listed, requeued and discarded by `dlq`."""

from __future__ import annotations

from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from mixsync_dagster.commands.auditing import note
from mixsync_dagster.commands.failures import ExitStatus, say
from mixsync_dagster.commands.shared import PAGE, JsonFlag, Limit, SyncArgument, opened, paged

if TYPE_CHECKING:
    from mixsync_dagster.control.dead_letters import Choice
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.wiring import Services

_STATES = ("waiting", "quarantined", "resolved", "discarded")


class Action(StrEnum):
    """What is done to dead letters."""

    LIST = "list"
    REQUEUE = "requeue"
    DISCARD = "discard"


def register(app: typer.Typer) -> None:
    """Add the command of this module."""
    epilog = "Example: `mixsync dlq videos`, or `mixsync dlq videos requeue --error-type archived`"
    app.command("dlq", epilog=epilog)(dead_letters)


def dead_letters(
    sync: SyncArgument,
    action: Annotated[
        Action, typer.Argument(metavar="[list|requeue|discard]", help="What to do.", show_default="list")
    ] = Action.LIST,
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="Only these, by dead letter id, whatever their state is."),
    ] = None,
    *,
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            help="waiting, quarantined, resolved or discarded; default: the first two, and quarantined for requeue.",
        ),
    ] = None,
    error_type: Annotated[str | None, typer.Option("--error-type", help="Only this reason class.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Requeue or discard without a filter.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why they are discarded; kept with each.")] = None,
    limit: Limit = 100,
    json_output: JsonFlag = False,
) -> None:
    """List a sync's dead letters, which are items that failed, with their reasons; requeue or discard them.

    Requeued ones are tried by the next run, with three retries again. Discarded ones are left alone until they change
    at the source.
    """
    from mixsync_dagster.control.dead_letters import Choice
    from mixsync_dagster.control.references import find_sync

    chosen = Choice(ids or (), None if error_type is None else (error_type,), state)
    with opened() as services:
        found = find_sync(services.store, sync)
        if action is Action.LIST:
            _list(services, found, chosen, limit=limit, json_output=json_output)
            return
        _refuse_vague(chosen, everything=everything)
        changed = _changed(services, found, action, chosen, reason)
        note(services, f"dlq {action.value}", f"sync {found.sync_config_id}")
    _tell(found, action, chosen, changed, json_output=json_output)


def _list(services: Services, sync: SyncConfiguration, chosen: Choice, *, limit: int, json_output: bool) -> None:
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.presenting import dead_letter_form
    from mixsync_dagster.errors import InvalidInput

    if chosen.ids:
        raise InvalidInput.of("ID", chosen.ids[0], "ids to requeue or discard only; a list takes --state, --error-type")
    if chosen.state is not None and chosen.state not in _STATES:
        raise InvalidInput.of("--state", chosen.state, "one of " + ", ".join(_STATES))
    error_type = chosen.error_types[0] if chosen.error_types else None
    pages = paged(
        lambda position: services.store.list_dead_letters(
            sync.sync_config_id, state=chosen.state, error_type=error_type, after=position, limit=min(limit, PAGE)
        ),
        lambda letter: letter.dead_letter_id,
        None,
    )
    found = islice(pages, limit)
    if json_output:
        output.print_json_lines(dead_letter_form(letter) for letter in found)
        return
    columns = ("path", "state", "retries", "reason", "message", "last seen", "id")
    rows = (
        (d.source_path, d.state, d.retry_count, d.error_type, d.error_message, d.last_seen_at, d.dead_letter_id)
        for d in found
    )
    output.print_table(columns, rows, empty=f"Sync {sync.name} has no dead letters.")


def _refuse_vague(chosen: Choice, *, everything: bool) -> None:
    from mixsync_dagster.errors import InvalidInput

    filtered = chosen.state is not None or chosen.error_types is not None
    if chosen.ids and (filtered or everything):
        raise InvalidInput.of("ID", chosen.ids[0], "either ids, or --error-type, --state or --all")
    if not (chosen.ids or filtered or everything):
        raise InvalidInput.of("ID", "nothing", "ids, or --error-type, --state or --all")


def _changed(services: Services, sync: SyncConfiguration, action: Action, chosen: Choice, reason: str | None) -> int:
    from mixsync_dagster.control.dead_letters import discard, requeue
    from mixsync_dagster.errors import InvalidInput

    if action is Action.DISCARD:
        return discard(services.store, sync.sync_config_id, chosen, reason=reason or "")
    if reason is not None:
        raise InvalidInput.of("--reason", reason, "a reason for discard only")
    return requeue(services.store, sync.sync_config_id, chosen)


def _tell(sync: SyncConfiguration, action: Action, chosen: Choice, changed: int, *, json_output: bool) -> None:
    from mixsync_dagster.commands import output

    done = f"{action.value.rstrip('e')}ed"
    if json_output:
        output.print_json({"sync_config_id": sync.sync_config_id, done: changed})
    else:
        then = f" {_when(sync)}" if action is Action.REQUEUE and changed else ""
        output.print_line(f"{changed} dead {'letter' if changed == 1 else 'letters'} of sync {sync.name} {done}.{then}")
    missed = len(set(chosen.ids)) - changed
    if missed > 0:
        say(f"mixsync: {missed} of the ids name no dead letter of sync {sync.name} that can be {done}.")
        raise typer.Exit(ExitStatus.FAILED)


def _when(sync: SyncConfiguration) -> str:
    if sync.is_active and not sync.paused:
        return "The next run tries the items again."
    first = f"`mixsync resume {sync.name}` lets it run again; " if sync.paused else ""
    return f"The sync does not run by itself now; {first}`mixsync run {sync.name}` tries the items again."
