"""`mixsync audit`: who changed what, by the API and by commands; and how commands record it."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from mixsync_dagster.commands.shared import JsonFlag, Limit, opened

if TYPE_CHECKING:
    from mixsync_dagster.wiring import Services


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    epilog = "Example: `mixsync audit --since 2026-01-31 --organisation acme --namespace media --json`"
    app.command("audit", epilog=epilog)(audit)


def audit(
    since: Annotated[
        str | None, typer.Option("--since", help="Only since this ISO 8601 date or time, UTC without an offset.")
    ] = None,
    namespace: Annotated[str | None, typer.Option("--namespace", help="Only of this namespace, by id or name.")] = None,
    organisation: Annotated[
        str, typer.Option("--organisation", help="Organisation of the namespace; nothing without --namespace.")
    ] = "local",
    limit: Limit = 100,
    json_output: JsonFlag = False,
) -> None:
    """List who changed what, newest first: changes that were made or refused by API keys, and by commands.

    Values that were given are no part of it. Entries are kept for MIXSYNC_AUDIT_DAYS; each is a line of the log, too.
    """
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.keys import namespace_id_of, organisation_id_of
    from mixsync_dagster.model.tenants import Namespace

    within = None
    if namespace is not None:
        within = Namespace(organisation_id_of(organisation), namespace_id_of(namespace))
    with opened() as services:
        found = services.store.list_entries(within=within, since=_moment(since), limit=limit)
    if json_output:
        output.print_json_lines(asdict(entry) for entry in found)
        return
    columns = ("at", "by", "organisation", "namespace", "did", "of", "outcome", "request")
    rows = (
        (
            entry.at,
            entry.key_prefix or entry.origin,
            entry.internal_id,
            entry.namespace_id,
            entry.operation,
            entry.resource,
            entry.outcome if entry.status is None else f"{entry.outcome} ({entry.status})",
            entry.request_id,
        )
        for entry in found
    )
    output.print_table(columns, rows, empty="Nothing was changed in that time.")


def note(services: Services, operation: str, resource: str | None = None) -> None:
    """Record what a command changed, on behalf of whoever operates this installation. Raises StoreUnavailable."""
    from mixsync_dagster.control.auditing import Recorder

    Recorder(services.store, services.clock, days=services.settings.audit_days).record(operation, resource)


def _moment(text: str | None) -> datetime | None:
    from pydantic import TypeAdapter, ValidationError

    from mixsync_dagster.errors import InvalidInput
    from mixsync_dagster.model.base import UtcDatetime

    if text is None:
        return None
    try:
        return TypeAdapter(UtcDatetime).validate_python(text)
    except ValidationError:
        raise InvalidInput.of("--since", text, "an ISO 8601 date or time, e.g. 2026-01-31") from None
