"""What a process pays before it works: imports that nobody asked for, and definitions that are built once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mixsync_dagster
from mixsync_dagster import definitions
from mixsync_dagster_tests.orchestration.conftest import Home
from mixsync_dagster_tests.support.s3_servers import TestBucket

_ROOT = Path(mixsync_dagster.__file__).parent.parent
_TELL = """
import atexit, runpy, sys
atexit.register(lambda: print("pandas imported:", "pandas" in sys.modules, file=sys.stderr))
sys.argv = {argv!r}
{start}
"""
_BY_ENGINE = "from mixsync_dagster.cli import main; main()"
_BY_DAGSTER = "from dagster._cli import main; main()"


def _told(argv: list[str], start: str, home: Home, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MIXSYNC_HOME": str(home.path), "DAGSTER_HOME": str(folder)}
    return subprocess.run(
        [sys.executable, "-c", _TELL.format(argv=argv, start=start)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=_ROOT,
    )


def test_a_run_by_the_engine_alone_imports_no_pandas(live_home: Home, source: TestBucket, tmp_path: Path) -> None:
    live_home.add(source_path=f"{source.name}/videos")

    done = _told(["mixsync", "run", "videos", "--json"], _BY_ENGINE, live_home, tmp_path)

    assert json.loads(done.stdout)["created"] == 3
    assert "pandas imported: False" in done.stderr


def test_a_run_by_dagster_imports_no_pandas(live_home: Home, source: TestBucket, tmp_path: Path) -> None:
    live_home.add(source_path=f"{source.name}/videos")
    config = tmp_path / "run.yaml"
    config.write_text("sync: videos\n")
    job = ["dagster", "job", "execute", "-m", "mixsync_dagster.definitions", "-j", "sync_bucket", "-c", str(config)]

    done = _told(job, _BY_DAGSTER, live_home, tmp_path)

    assert live_home.mixsync.store.inventory_size(live_home.mixsync.store.get_sync("videos").sync_config_id) == 3
    assert "pandas imported: False" in done.stderr


def test_the_definitions_are_built_once_in_a_process(home: Home, monkeypatch) -> None:
    monkeypatch.setenv("MIXSYNC_HOME", str(home.path))
    definitions._built.cache_clear()

    assert definitions.defs() is definitions.defs()

    definitions._built.cache_clear()
