"""Definitions: `apply`, `export`, `connections`."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mixsync_dagster.commands.auditing import note
from mixsync_dagster.commands.shared import JsonFlag, opened

if TYPE_CHECKING:
    from mixsync_dagster.control.definitions import AppliedSet


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("apply", epilog="Example: `mixsync apply syncs/ --dry-run`")(apply)
    app.command("export", epilog="Example: `mixsync export > syncs.yaml`, or `mixsync export backup/`")(export)
    app.command("connections", epilog="Example: `mixsync connections --json`")(connections)


def apply(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="YAML files, or folders of them.", show_default=False),
    ],
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete syncs and connections that no file defines; objects stay.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")] = False,
    no_check: Annotated[
        bool, typer.Option("--no-check", help="Test nothing at the providers, as if no connection asked for it.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Load connections, buckets and syncs from YAML files.

    Everything is checked first: a bad file changes nothing. The same files twice change nothing. New and changed
    connections, and the source paths of new syncs, are tested at their providers, each for MIXSYNC_CHECK_SECONDS (10)
    at most. Hosted buckets are asked for their schemas, which the mappings of their syncs have to fit.
    """
    from mixsync_dagster.commands import output
    from mixsync_dagster.commands.failures import say
    from mixsync_dagster.control.definitions import apply_definitions
    from mixsync_dagster.control.planned import UNCHANGED
    from mixsync_dagster.control.yaml_files import load_definitions
    from mixsync_dagster.destinations import schema_at_service
    from mixsync_dagster.settings import environment_value
    from mixsync_dagster.wiring import offered

    definitions = load_definitions(paths)
    with opened() as services:
        applied = apply_definitions(
            services.store,
            definitions,
            offered=offered(),
            lookup=environment_value,
            clock=services.clock,
            prune=prune,
            dry_run=dry_run,
            check=None if no_check else services.check_source,
            check_bucket=None if no_check else partial(schema_at_service, services),
        )
        for one in () if dry_run else applied.changes:
            if one.change != UNCHANGED:
                note(services, f"apply: {one.change}", f"{one.kind} {one.identifier}")
    for warning in applied.warnings:
        say(f"warning: {warning}")
    if json_output:
        output.print_json_lines(asdict(one) for one in applied.changes)
        return
    rows = [(one.change, one.kind, one.name, one.identifier) for one in applied.changes]
    output.print_table(("change", "kind", "name", "id"), rows, empty="The files define nothing.")
    output.print_line(summary(applied, dry_run=dry_run))


def summary(applied: AppliedSet, *, dry_run: bool) -> str:
    """Return how many definitions were created, updated, removed and left, as a sentence."""
    counts: dict[str, int] = {}
    for one in applied.changes:
        counts[one.change] = counts.get(one.change, 0) + 1
    told = ", ".join(f"{count} {change}" for change, count in counts.items()) or "nothing to do"
    return f"{told} (dry run: nothing was written)." if dry_run else f"{told}."


def export(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Folder to write to; without it, stdout.", show_default=False),
    ] = None,
    json_output: JsonFlag = False,
) -> None:
    """Print the stored definitions as YAML that `apply` takes back; secrets as references only."""
    from mixsync_dagster.commands import output
    from mixsync_dagster.commands.failures import say
    from mixsync_dagster.control.export import export_definitions, placeholders, to_yaml

    with opened() as services:
        document = export_definitions(services.store)
    if json_output:
        output.print_json(document)
        return
    if folder is None:
        output.print_text(to_yaml(document))
        return
    folder.mkdir(parents=True, exist_ok=True)
    for section, entries in document.items():
        if entries:
            path = folder / f"{section}.yaml"
            path.write_text(to_yaml({section: entries}), encoding="utf-8")
            output.print_line(f"{path}: {len(entries)} {section}")
    variables = placeholders(document)
    if variables:
        say(f"Set before applying these files elsewhere: {', '.join(variables)}")


def connections(json_output: JsonFlag = False) -> None:
    """List the connections, without their credentials."""
    from mixsync_dagster.commands import output

    with opened() as services:
        found = services.store.list_connections()
    if json_output:
        output.print_json_lines(connection.public_dict() for connection in found)
        return
    rows = (
        (
            c.name,
            c.provider_type,
            c.credentials_type,
            c.status,
            getattr(c.provider_config, "endpoint_url", None),
            c.connection_id,
        )
        for c in found
    )
    columns = ("name", "provider", "credentials", "status", "endpoint", "id")
    output.print_table(columns, rows, empty="There is no connection yet; `mixsync apply` makes them from YAML files.")
