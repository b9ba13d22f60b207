"""Looking after what is stored: `verify`, `gc`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from mixsync_dagster.commands.failures import ExitStatus, say
from mixsync_dagster.commands.shared import JsonFlag, opened

if TYPE_CHECKING:
    from mixsync_dagster.control.findings import Finding
    from mixsync_dagster.model.syncs import SyncConfiguration
    from mixsync_dagster.wiring import Services

_DATA = "--data"
_ALL_DATA = "100"
_MOST_PERCENT = 100.0


class _WithOptionalPercent(TyperCommand):
    """A command whose `--data` may stand without its value."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give `--data` its default value where none follows."""
        told: list[str] = []
        for argument, following in zip(args, [*args[1:], ""], strict=False):
            told.append(argument)
            if argument == _DATA and not _is_number(following):
                told.append(_ALL_DATA)
        return super().parse_args(ctx, told)


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    epilog = "Example: `mixsync verify bkt_videos --data`, or `mixsync verify --all --data 5 --source`"
    app.command("verify", cls=_WithOptionalPercent, epilog=epilog)(verify)
    app.command("gc", epilog="Example: `mixsync gc --dry-run`")(gc)


def verify(
    bucket: Annotated[
        str | None,
        typer.Argument(metavar="BUCKET", help="The bucket's id or name: it and all its syncs.", show_default=False),
    ] = None,
    *,
    sync: Annotated[
        str | None, typer.Option("--sync", metavar="SYNC", help="One sync and what it wrote, instead of a bucket.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every bucket and sync, and blobs that nothing refers to.")
    ] = False,
    data: Annotated[
        str | None,
        typer.Option(
            _DATA, metavar="[PERCENT]", help="Read blobs and compare their hashes: all, or this share, always the same."
        ),
    ] = None,
    source: Annotated[
        bool, typer.Option("--source", help="List the source as well and compare versions, filters applied.")
    ] = False,
    json_output: JsonFlag = False,
) -> None:
    """Check that inventory, objects, blobs, batches and outbox agree; writes nothing.

    One line for each finding, with what to do. Exit status: 0 without findings, 1 with any. Runs may go on meanwhile.
    A source that changed since the latest run is a finding of `--source`.
    """
    from mixsync_dagster.commands import output

    percent = _percent(data)
    found = 0
    with opened() as services:
        chosen = _chosen(services, bucket, sync, everything=everything)
        for finding in _findings(services, chosen, percent=percent, source=source):
            found += not finding.information
            if json_output:
                output.print_json(finding.as_dict())
            else:
                output.print_line(_line(finding))
    if found:
        say(f"mixsync: {found} {'finding' if found == 1 else 'findings'}.")
        raise typer.Exit(ExitStatus.FAILED)
    if not json_output:
        output.print_line("No findings.")


def gc(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go, and remove nothing.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Forget removed objects after MIXSYNC_GRACE_DAYS (7), and remove bytes that no object has.

    Bytes that a run stored or found within a day, or four leases, stay. Runs may go on meanwhile; where bytes are in an
    object store, nothing is done while a sync runs (exit status 4). The blob store must be this state store's alone.
    """
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.collecting import collect

    with opened() as services, closing(services.open_blobs()) as blobs:
        done = collect(
            services.store,
            blobs,
            now=services.clock.now(),
            grace=timedelta(days=services.settings.grace_days),
            lease_seconds=services.settings.lease_seconds,
            dry_run=dry_run,
        )
    if json_output:
        output.print_json(asdict(done))
    else:
        verbs = ("would be forgotten", "would be removed") if dry_run else ("were forgotten", "were removed")
        told = (
            f"{done.tombstones} removed objects {verbs[0]}; {done.blobs} blobs ({output.size(done.bytes)}) {verbs[1]}"
        )
        output.print_line(f"{told}; {done.young} more blobs that no object has are too young.")
    if done.refused_by:
        running = ", ".join(done.refused_by)
        say(f"mixsync: bytes in an object store are removed only while no sync runs; now runs {running}.")
        raise typer.Exit(ExitStatus.SKIPPED)


@dataclass(frozen=True)
class _Chosen:
    """What is looked at: one bucket, one sync, or, with neither, everything."""

    bucket_id: str | None
    sync: SyncConfiguration | None


def _chosen(services: Services, bucket: str | None, sync: str | None, *, everything: bool) -> _Chosen:
    from mixsync_dagster.control.references import find_bucket, find_sync
    from mixsync_dagster.errors import InvalidInput

    given = [told for told in (bucket, sync and f"--sync {sync}", "--all" if everything else None) if told]
    if len(given) != 1:
        raise InvalidInput.of("BUCKET", " ".join(given) or "nothing", "one of: a bucket, --sync SYNC, --all")
    return _Chosen(
        None if bucket is None else find_bucket(services.store, bucket).bucket_id,
        None if sync is None else find_sync(services.store, sync),
    )


def _findings(services: Services, chosen: _Chosen, *, percent: float, source: bool) -> Iterator[Finding]:
    from mixsync_dagster.control.verifying import Verifier

    store = services.store
    with closing(services.open_blobs()) as blobs:
        verifier = Verifier(store, blobs, services.open_manifests().find, percent)
        if chosen.bucket_id is not None:
            yield from verifier.verify_bucket(chosen.bucket_id)
        elif chosen.sync is not None:
            yield from verifier.verify_sync(chosen.sync)
        else:
            grace = timedelta(days=services.settings.grace_days)
            yield from verifier.verify_all(now=services.clock.now(), grace_seconds=grace.total_seconds())
    if source:
        syncs = [chosen.sync] if chosen.sync is not None else store.list_syncs(bucket_id=chosen.bucket_id)
        for sync in syncs:
            yield from _source_findings(services, sync)


def _source_findings(services: Services, sync: SyncConfiguration) -> Iterator[Finding]:
    from mixsync_dagster.control.verifying import source_findings
    from mixsync_dagster.engine.dry_run import plan_sync

    tools = services.tools_for(sync)
    try:
        told = plan_sync(tools, sync)
    finally:
        tools.close()
    counts = {"create": told.create, "replace": told.replace, "move": told.move, "remove": told.remove}
    yield from source_findings(sync, counts, told.examples)


def _line(finding: Finding) -> str:
    from mixsync_dagster.commands import output

    where = "" if finding.sync is None else f"{finding.sync}: "
    mark = "information" if finding.information else finding.kind.value
    return output.shown(f"{mark}: {where}{finding.message}; {finding.action}.")


def _is_number(text: str) -> bool:
    try:
        float(text.removesuffix("%"))
    except ValueError:
        return False
    return True


def _percent(data: str | None) -> float:
    from mixsync_dagster.errors import InvalidInput

    if data is None:
        return 0.0
    percent = float(data.removesuffix("%")) if _is_number(data) else -1.0
    if not 0 < percent <= _MOST_PERCENT:
        raise InvalidInput.of(_DATA, data, "a percentage above 0, up to 100")
    return percent
