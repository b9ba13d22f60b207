"""Preparing the folder of a Dagster instance, before several processes open it at once."""

from __future__ import annotations

import contextlib
import fcntl
import io
from importlib.resources import files
from typing import TYPE_CHECKING

from dagster import DagsterInstance

from mixsync_dagster.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

CONFIG_NAME = "dagster.yaml"


def prepare_instance(dagster_home: Path) -> None:
    """Create the folder with a `dagster.yaml` where they are absent, and make or upgrade the instance's tables.

    An existing `dagster.yaml` stays as it is. Safe to repeat, and for several processes at once: a fresh SQLite
    instance that two processes open at the same moment stays broken, so each waits for the other here. Raises
    ConfigurationError when the folder cannot be written.
    """
    try:
        dagster_home.mkdir(parents=True, exist_ok=True)
        with (dagster_home / ".mixsync.lock").open("a", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _write_config(dagster_home / CONFIG_NAME)
            _make_tables(dagster_home)
    except OSError as error:
        raise ConfigurationError(
            f"DAGSTER_HOME: {dagster_home} cannot be prepared ({error.strerror}); give a folder that can be written."
        ) from error


def packaged_config() -> str:
    """Return the `dagster.yaml` that a new instance gets."""
    return files("mixsync_dagster").joinpath("deploy", CONFIG_NAME).read_text(encoding="utf-8")


def _write_config(file: Path) -> None:
    if file.exists():
        return
    temporary = file.with_name(f".{CONFIG_NAME}.new")
    temporary.write_text(packaged_config(), encoding="utf-8")
    temporary.replace(file)


def _make_tables(dagster_home: Path) -> None:
    with DagsterInstance.from_config(str(dagster_home)) as instance:
        # Dagster prints what it does; stdout belongs to our caller, who may have promised JSON.
        with contextlib.redirect_stdout(io.StringIO()):
            instance.upgrade()
        # Reading opens the storages that are otherwise made at their first use.
        instance.get_runs_count()
        instance.get_asset_keys(limit=1)
        instance.all_instigator_state()
