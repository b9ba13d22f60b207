"""`mixsync demo`: the main job on embedded defaults, from nothing to a second incremental run."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mixsync_dagster.commands.shared import JsonFlag
from mixsync_dagster.errors import MixsyncError

if TYPE_CHECKING:
    from mixsync_dagster.demo.demonstration import Demo
    from mixsync_dagster.demo.source import Source
    from mixsync_dagster.model.objects import StoredObject
    from mixsync_dagster.model.progress import RunRecord

STEPS = 6
_UI_STOP_SECONDS = 15.0


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("demo", epilog="Example: `mixsync demo --ui`")(demo)


def demo(
    ui: Annotated[bool, typer.Option("--ui", help="Leave the Dagster UI up until Ctrl-C.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the demo's folder.")] = False,
    json_output: JsonFlag = False,
) -> None:
    """Sync sample files from an S3-protocol server on this machine through Dagster, twice, and show what landed.

    Needs no account and no network. Takes about half a minute.
    """
    from mixsync_dagster.demo.demonstration import Demo

    folder = Path(tempfile.mkdtemp(prefix="mixsync-demo-"))
    kept = keep or ui
    try:
        _Told(Demo(folder), quiet=json_output).show(ui=ui, kept=kept)
    except MixsyncError:
        # The message names logs in the folder.
        kept = True
        raise
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


class _Told:
    """Takes the demo's steps one by one and tells of each."""

    def __init__(self, demo: Demo, *, quiet: bool) -> None:
        self._demo = demo
        self._quiet = quiet
        self._step = 0

    def show(self, *, ui: bool, kept: bool) -> None:
        """Run all steps. Raises MixsyncError when one fails."""
        from mixsync_dagster.commands.setting_up import prepare
        from mixsync_dagster.demo.samples import samples
        from mixsync_dagster.demo.source import BUCKET, s3_server

        with s3_server() as source:
            files = samples()
            for sample in files:
                source.put(sample)
            self._say(f"An S3-protocol server at {source.endpoint_url}, bucket {BUCKET}, {len(files)} files.")
            prepare(self._demo.settings, instance=self._demo.settings.dagster_dir)
            self._say(f"mixsync init: state store, key and Dagster instance in {self._demo.settings.home}")
            applied = self._demo.apply(source.endpoint_url)
            names = ", ".join(f"{one.kind} {one.name}" for one in applied.changes)
            self._say(f"mixsync apply {self._demo.definitions_file}: {names}")
            self._runs(source)
            if ui:
                self._serve()
        if not self._quiet and not ui:
            self._farewell(kept=kept)

    def _runs(self, source: Source) -> None:
        from mixsync_dagster.commands import output
        from mixsync_dagster.control.presenting import object_form, run_form
        from mixsync_dagster.demo.demonstration import compared
        from mixsync_dagster.demo.samples import CHANGED_KEY, DELETED_KEY, added, changed

        self._say("dagster job execute -m mixsync_dagster.definitions -j sync_bucket -c run.yaml ...")
        first = self._demo.run("first-run")
        landed = self._demo.objects()
        self._table(first, [("", one) for one in landed])
        source.put(changed())
        source.delete(DELETED_KEY)
        source.put(added())
        self._say(f"At the source: changed {CHANGED_KEY}, deleted {DELETED_KEY}, added {added().key}.")
        self._say("The same job again: only what changed is read ...")
        second = self._demo.run("second-run")
        now = self._demo.objects()
        self._table(second, compared(landed, now))
        if self._quiet:
            runs = [run_form(first), run_form(second)]
            output.print_json(
                {"folder": str(self._demo.folder), "runs": runs, "objects": [object_form(o) for o in now]}
            )

    def _say(self, sentence: str) -> None:
        self._step += 1
        if not self._quiet:
            from mixsync_dagster.commands import output

            output.print_line(f"[{self._step}/{STEPS}] {sentence}")
            sys.stdout.flush()

    def _table(self, record: RunRecord, objects: Sequence[tuple[str, StoredObject]]) -> None:
        if self._quiet:
            return
        from mixsync_dagster.commands import output

        rows = [_row(change, stored) for change, stored in objects]
        output.print_line("")
        columns = ("change", "path", "type", "size", "fields") if objects[0][0] else ("path", "type", "size", "fields")
        output.print_table(columns, rows, empty="The bucket is empty.")
        told = record.counters
        counts = (
            f"{told.created} created, {told.replaced} replaced, {told.removed} removed, {told.unchanged} unchanged, "
            f"{told.failed} failed; {output.size(told.bytes)} transferred; batches: {told.batches_created}"
        )
        output.print_line(f"\n{record.status}: {counts}.\n")

    def _farewell(self, *, kept: bool) -> None:
        from mixsync_dagster.commands import output

        if not kept:
            output.print_line("Everything was in a temporary folder and is gone. To look further:")
            output.print_line("  mixsync demo --ui       the Dagster UI with these runs, asset and sensor")
            output.print_line("  mixsync demo --keep     keeps the folder")
            output.print_line("  mixsync init            the first sync of your own")
            return
        output.print_line("To look further:")
        output.print_line(f"  export MIXSYNC_HOME={self._demo.settings.home}")
        output.print_line("  mixsync objects bkt_demo; mixsync runs demo-media; mixsync batches bkt_demo")

    def _serve(self) -> None:
        """Run `dagster dev` until it ends or Ctrl-C."""
        from mixsync_dagster.commands import output
        from mixsync_dagster.demo.demonstration import MODULE

        port = _free_port()
        command = [sys.executable, "-m", "dagster", "dev", "-m", MODULE, "-h", "127.0.0.1", "-p", str(port)]
        with (self._demo.folder / "dagster-dev.log").open("wb") as log:
            # A session of its own, so that it is this process that ends it, and with it its children.
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                cwd=self._demo.folder,
                env=self._demo.environment(),
                start_new_session=True,
            )
            output.print_line(f"The Dagster UI comes up at http://127.0.0.1:{port} (Ctrl-C ends it; log: {log.name})")
            output.print_line(
                f"  export MIXSYNC_HOME={self._demo.settings.home} DAGSTER_HOME={self._demo.settings.dagster_dir}"
            )
            sys.stdout.flush()
            try:
                process.wait()
            except KeyboardInterrupt:
                output.print_line(f"Stopped. The demo's folder is {self._demo.folder}.")
            finally:
                _end(process)


def _row(change: str, stored: StoredObject) -> tuple[Any, ...]:
    from mixsync_dagster.commands import output

    types = ", ".join(blob.type for blob in stored.blobs)
    size = output.size(sum(blob.size_bytes for blob in stored.blobs))
    row = (stored.source_path, types, size, dict(stored.fields))
    return (change, *row) if change else row


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    os.killpg(process.pid, signal.SIGINT)
    try:
        process.wait(_UI_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
