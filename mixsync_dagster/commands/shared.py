"""What several commands take and open alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from mixsync_dagster.wiring import Services

Entry = TypeVar("Entry")

PAGE = 1_000
"""Entries read from the store at a time."""

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


def paged(
    read: Callable[[str | None], Sequence[Entry]], position_of: Callable[[Entry], Any], after: str | None
) -> Iterator[Entry]:
    """Yield all entries, page by page, from a reader that goes on after a position."""
    position = after
    while page := read(position):
        yield from page
        position = position_of(page[-1])
