"""What several commands take and open alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mixsync_dagster.wiring import Services

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or one object a line for lists.")]
SyncArgument = Annotated[str, typer.Argument(metavar="SYNC", help="The sync's name or id.", show_default=False)]
BucketArgument = Annotated[str, typer.Argument(metavar="BUCKET", help="The bucket's id or name.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="Most entries to print.")]


@contextmanager
def opened() -> Iterator[Services]:
    """Give the services on the state store that the settings name, and close them."""
    from mixsync_dagster.commands import logs
    from mixsync_dagster.wiring import Services

    with Services.open() as services:
        logs.configure(services.settings.log_format)
        yield services
