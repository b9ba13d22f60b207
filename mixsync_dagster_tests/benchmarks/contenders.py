"""The programs under measurement: how each is started on a bucket of the source server."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixsync_dagster_tests.benchmarks.datasets import Dataset
from mixsync_dagster_tests.benchmarks.measuring import Command, measure

OURS = "mixsync"

_KEYS = {"AWS_ACCESS_KEY_ID": "benchmark", "AWS_SECRET_ACCESS_KEY": "benchmark", "AWS_REGION": "us-east-1"}

TUNED = ("--transfers", "32", "--checkers", "32", "--fast-list", "--s3-no-head", "--use-server-modtime")
"""rclone's own advice for many small objects: more at once, one flat listing, no question per object."""


@dataclass(frozen=True, slots=True)
class Contender:
    """One program in one scenario. `prepare` gets a fresh folder before each round and is not measured."""

    tool: str
    prepare: Callable[[Path], Command]
    reads_source: bool = True
    """False for a program that has nothing to do with the bucket."""


def executable(name: str) -> str:
    """Return a program of this Python's environment, where the `bench` extra installs it, else the one on PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def rclone(tool: str, url: str, dataset: Dataset, target: Path | None, *options: str) -> Contender:
    """Return `rclone copy` into `target`, or into a fresh folder where it is None."""

    def prepare(folder: Path) -> Command:
        configuration = _rclone_configuration(folder, url)
        destination = str(target or folder / "copied")
        source = f"source:{dataset.bucket}"
        return Command([executable("rclone"), "--config", configuration, "copy", source, destination, *options])

    return Contender(tool, prepare)


def s5cmd(tool: str, url: str, dataset: Dataset, target: Path | None, *verb: str) -> Contender:
    """Return `s5cmd` with a verb (cp, or sync with options) into `target`, or into a fresh folder where it is None."""

    def prepare(folder: Path) -> Command:
        destination = f"{target or folder / 'copied'}/"
        source = f"s3://{dataset.bucket}/*"
        argv = [executable("s5cmd"), "--log", "error", "--endpoint-url", url, *verb, source, destination]
        return Command(argv, _KEYS)

    return Contender(tool, prepare)


def rclone_listing(url: str, dataset: Dataset) -> Contender:
    """Return `rclone size`, which lists the bucket and compares it with nothing."""

    def prepare(folder: Path) -> Command:
        configuration = _rclone_configuration(folder, url)
        argv = [executable("rclone"), "--config", configuration, "size", f"source:{dataset.bucket}", "--fast-list"]
        return Command(argv)

    return Contender("rclone size (lists only)", prepare)


def s5cmd_listing(url: str, dataset: Dataset) -> Contender:
    """Return `s5cmd du`, which lists the bucket and compares it with nothing."""
    argv = [executable("s5cmd"), "--log", "error", "--endpoint-url", url, "du", f"s3://{dataset.bucket}/*"]
    return Contender("s5cmd du (lists only)", lambda _folder: Command(argv, _KEYS))


def ours(url: str, dataset: Dataset) -> Contender:
    """Return `mixsync run` in a home that `mixsync init` and `apply` make afresh for each round."""
    return Contender(OURS, lambda folder: run_command(make_home(folder, url, dataset)))


def run_command(home: Path) -> Command:
    """Return the run of the home's sync."""
    return Command([executable("mixsync"), "run", "benchmark", "--json"], environment_of(home))


def environment_of(home: Path) -> dict[str, str]:
    """Return the environment in which `mixsync` and Dagster use the home and nothing else."""
    return {"MIXSYNC_HOME": str(home), "DAGSTER_HOME": str(home / "dagster"), "DAGSTER_DISABLE_TELEMETRY": "1"}


def make_home(folder: Path, url: str, dataset: Dataset) -> Path:
    """Make a home in the folder with the sync `benchmark` of the whole dataset; return it."""
    home = folder / "home"
    (home / "dagster").mkdir(parents=True)
    definitions = folder / "benchmark.yaml"
    definitions.write_text(
        f"""\
connections:
  source:
    provider_type: s3
    provider_config:
      dialect: aws
      region: us-east-1
      endpoint_url: {url}
      use_ssl: false
      credentials: {{type: access_key, access_key_id: benchmark, secret_access_key: benchmark}}
buckets:
  bkt_benchmark: {{description: Benchmark}}
syncs:
  benchmark:
    bucket_id: bkt_benchmark
    connection_id: source
    source_path: {dataset.bucket}/data
    sync_mode: continuous
    max_objects_per_run: {max(dataset.count, 1)}
    skip_batch_submission: true
    schema_mapping:
      mappings:
        content: {{target_type: blob, source: {{type: file}}, blob_type: auto}}
"""
    )
    environment = environment_of(home)
    measure(Command([executable("mixsync"), "init"], environment), folder / "init.log")
    measure(Command([executable("mixsync"), "apply", str(definitions)], environment), folder / "apply.log")
    return home


def _rclone_configuration(folder: Path, url: str) -> str:
    path = folder / "rclone.conf"
    path.write_text(
        f"[source]\ntype = s3\nprovider = Other\naccess_key_id = benchmark\nsecret_access_key = benchmark\n"
        f"region = us-east-1\nendpoint = {url}\nlist_version = 2\nlist_url_encode = true\nno_check_bucket = true\n"
    )
    return str(path)
