"""What there is: `syncs`, `runs`, `objects`, `batches`, `cat`."""

from __future__ import annotations

import sys
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from mixsync_dagster.commands.shared import PAGE, BucketArgument, JsonFlag, Limit, SyncArgument, opened, paged

if TYPE_CHECKING:
    from mixsync_dagster.model.objects import Blob, StoredObject


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("syncs", epilog="Example: `mixsync syncs --bucket bkt_media`")(syncs)
    app.command("runs", epilog="Example: `mixsync runs videos --limit 5`")(runs)
    app.command("objects", epilog="Example: `mixsync objects bkt_media --json | jq .source_path`")(objects)
    app.command("batches", epilog="Example: `mixsync batches bkt_media`")(batches)
    app.command("cat", epilog="Example: `mixsync cat bkt_media obj_0a1b > film.mp4`")(cat)


def syncs(
    bucket: Annotated[str | None, typer.Option("--bucket", help="Only syncs of this bucket.")] = None,
    json_output: JsonFlag = False,
) -> None:
    """List the syncs: where from, where to, how they are; `--json` tells their health in numbers."""
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.health import health_of
    from mixsync_dagster.control.references import find_bucket

    with opened() as services:
        bucket_id = None if bucket is None else find_bucket(services.store, bucket).bucket_id
        found = services.store.list_syncs(bucket_id=bucket_id)
        health = health_of(services.store, found, services.clock.now()) if json_output else {}
    if json_output:
        output.print_json_lines(
            {**sync.model_dump(mode="json"), "health": health[sync.sync_config_id].as_dict()} for sync in found
        )
        return
    columns = ("name", "status", "mode", "source", "bucket", "every", "synced", "failed", "last sync", "next", "error")
    rows = (
        (
            s.name,
            f"{s.status} (locked)" if s.locked else s.status,
            s.sync_mode,
            s.source_path,
            s.bucket_id,
            "" if s.mode == "one_time" else f"{s.polling_interval_seconds} s",
            s.total_files_synced,
            s.total_files_failed,
            s.last_sync_at,
            s.next_sync_at,
            s.last_error or s.pause_reason,
        )
        for s in found
    )
    output.print_table(columns, rows, empty="There is no sync yet; `mixsync apply` makes them from YAML files.")


def runs(sync: SyncArgument, limit: Limit = 20, json_output: JsonFlag = False) -> None:
    """List a sync's runs, newest first."""
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.presenting import run_form
    from mixsync_dagster.control.references import find_sync

    with opened() as services:
        found = services.store.list_runs(find_sync(services.store, sync).sync_config_id, limit=limit)
    if json_output:
        output.print_json_lines(run_form(run) for run in found)
        return
    counted_names = ("created", "replaced", "moved", "removed", "unchanged", "failed", "bytes")
    columns = ("started", "status", "trigger", "took", *counted_names, "error")
    rows = []
    for run in found:
        c = run.counters
        took = output.duration(run_form(run)["duration_seconds"])
        counted = (c.created, c.replaced, c.moved, c.removed, c.unchanged, c.failed, output.size(c.bytes))
        rows.append((run.started_at, run.status, run.trigger, took, *counted, run.error))
    output.print_table(columns, rows, empty=f"Sync {sync} has not run yet; start it by `mixsync run {sync}`.")


def objects(
    bucket: BucketArgument,
    sync: Annotated[str | None, typer.Option("--sync", help="Only objects of this sync.")] = None,
    after: Annotated[str | None, typer.Option("--after", help="Begin after this object id.")] = None,
    limit: Limit = 100,
    json_output: JsonFlag = False,
) -> None:
    """List a bucket's objects in the order of their ids."""
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.presenting import object_form
    from mixsync_dagster.control.references import find_bucket, find_sync

    with opened() as services:
        store = services.store
        bucket_id = find_bucket(store, bucket).bucket_id
        sync_id = None if sync is None else find_sync(store, sync).sync_config_id
        found = islice(
            paged(
                lambda position: store.list_objects(bucket_id, after=position, limit=PAGE, sync_config_id=sync_id),
                lambda stored: stored.object_id,
                after,
            ),
            limit,
        )
        if json_output:
            output.print_json_lines(object_form(stored) for stored in found)
            return
        rows = ((o.source_path, _types(o), output.size(_size(o)), dict(o.fields), o.object_id) for o in found)
        output.print_table(("path", "type", "size", "fields", "object id"), rows, empty=f"Bucket {bucket} is empty.")
        count = store.count_objects(bucket_id)
    if count > limit and sync is None:
        output.print_line(f"{limit} of {count} objects; see more by --limit or --after.")


def _types(stored: StoredObject) -> str:
    return ", ".join(blob.type for blob in stored.blobs)


def _size(stored: StoredObject) -> int:
    return sum(blob.size_bytes for blob in stored.blobs)


def batches(bucket: BucketArgument, limit: Limit = 100, json_output: JsonFlag = False) -> None:
    """List a bucket's batches, newest first."""
    from mixsync_dagster.commands import output
    from mixsync_dagster.control.presenting import batch_form
    from mixsync_dagster.control.references import find_bucket

    with opened() as services:
        bucket_id = find_bucket(services.store, bucket).bucket_id
        found = services.store.list_batches(bucket_id, limit=limit)
    if json_output:
        output.print_json_lines(batch_form(batch) for batch in found)
        return
    columns = ("created", "state", "objects", "task", "processing", "submitted", "batch id")
    rows = ((b.created_at, b.state, b.size, b.task_id, b.task_status or "", b.submitted_at, b.batch_id) for b in found)
    output.print_table(columns, rows, empty=f"Bucket {bucket} has no batches.")


def cat(
    bucket: BucketArgument,
    object_id: Annotated[str, typer.Argument(metavar="OBJECT_ID", help="The object's id.", show_default=False)],
    blob: Annotated[
        str | None,
        typer.Option("--blob", metavar="PROPERTY", help="Which blob; not needed when there is one."),
    ] = None,
) -> None:
    """Write a blob's bytes to stdout."""
    from mixsync_dagster.control.references import find_bucket
    from mixsync_dagster.errors import NotFound

    with opened() as services:
        bucket_id = find_bucket(services.store, bucket).bucket_id
        found = [o for o in services.store.objects_by_id([object_id]) if o.bucket_id == bucket_id]
        if not found:
            raise NotFound(f"bucket {bucket} has no object {object_id}; `mixsync objects {bucket}` lists them.")
        chosen = _blob(found[0], blob)
        opened_bucket = services.bucket_for(bucket_id)
        try:
            for chunk in opened_bucket.open_blob(chosen.sha256):
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        finally:
            opened_bucket.close()


def _blob(stored: StoredObject, asked: str | None) -> Blob:
    from mixsync_dagster.errors import InvalidInput, NotFound

    names = ", ".join(blob.property for blob in stored.blobs) or "none"
    if asked is None and len(stored.blobs) == 1:
        return stored.blobs[0]
    for blob in stored.blobs:
        if blob.property == asked:
            return blob
    if asked is None:
        raise InvalidInput.of("--blob", "nothing", f"one of the object's blobs ({names})")
    raise NotFound(f"object {stored.object_id} has no blob {asked}; its blobs are {names}.")
