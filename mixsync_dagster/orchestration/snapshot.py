"""What the code location knows of the configured syncs: the last good answer of the state store, kept as a file.

Definitions never raise and never wait for a database: what cannot be read is served from the file, and what is wrong
becomes a problem that the Dagster UI shows.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.model.syncs import SyncConfiguration, SyncMode
from mixsync_dagster.settings import Settings

logger = logging.getLogger(__name__)

READ_SECONDS = 5.0
"""A state store that takes longer to answer is treated as absent: the code location has to load."""

FILE_NAME = "dagster-snapshot.json"

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class NamedSync:
    """What Dagster's definitions need to know of a sync; nothing here changes with its runs."""

    sync_config_id: str
    name: str
    namespace_id: str
    bucket_id: str
    provider: str
    connection_name: str
    source_path: str
    mode: SyncMode
    interval_seconds: int
    created_at: datetime
    filters: str = ""
    """The file filters as one line of Markdown; empty without any."""
    description: str = ""

    @classmethod
    def of(cls, sync: SyncConfiguration, connection_name: str) -> NamedSync:
        """Return what is known of a stored sync."""
        filters = sync.file_filters.model_dump(mode="json", exclude_none=True) if sync.file_filters else {}
        return cls(
            sync_config_id=sync.sync_config_id,
            name=sync.name,
            namespace_id=sync.namespace_id,
            bucket_id=sync.bucket_id,
            provider=sync.source_type.value if sync.source_type else "storage",
            connection_name=connection_name,
            source_path=sync.source_path,
            mode=sync.mode,
            interval_seconds=sync.polling_interval_seconds,
            created_at=sync.created_at,
            filters=", ".join(f"{name} `{_told(value)}`" for name, value in filters.items() if value),
            description=sync.description or "",
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> NamedSync:
        """Return the sync that `asdict` made JSON values of."""
        times = {"mode": SyncMode(data["mode"]), "created_at": datetime.fromisoformat(data["created_at"])}
        return cls(**{**data, **times})


def _told(value: Any) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong with the configuration: what it is about, and the sentence for the person who can repair it."""

    subject: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The syncs that get definitions of their own, and what is wrong."""

    syncs: Sequence[NamedSync] = ()
    problems: Sequence[Problem] = field(default_factory=tuple)


def load_snapshot(
    settings: Settings,
    read: Callable[[Settings], Sequence[NamedSync]],
    apply: Callable[[Settings], Sequence[Problem]],
    *,
    seconds: float = READ_SECONDS,
) -> Snapshot:
    """Return what the state store says, else what it said last; never raises our errors and never waits for long.

    `apply` takes in the folder of configuration files before `read` reads the named syncs.
    """
    problems: list[Problem] = []

    def ask() -> Sequence[NamedSync]:
        problems.extend(apply(settings))
        return read(settings)

    file = settings.home / FILE_NAME
    try:
        syncs = _in_time(ask, seconds)
    except MixsyncError as error:
        logger.warning("the configured syncs cannot be read: %s", error)
        kept = _read_file(file)
        told = f" {len(kept)} syncs are shown as they were known last." if kept else ""
        return Snapshot(kept, [*problems, Problem("state store", f"{error}{told}")])
    _write_file(file, syncs)
    return Snapshot(syncs, problems)


def _in_time(ask: Callable[[], Answer], seconds: float) -> Answer:
    """Return the answer of `ask`. Raises what it raises, and MixsyncError when it takes longer."""
    answers: list[Answer] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as error:  # noqa: BLE001 - carried over to the caller, which raises it
            errors.append(error)

    # A daemon thread: neither the load nor the end of the process may wait for a database that does not answer.
    thread = threading.Thread(target=run, name="mixsync-snapshot", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        error = errors[0]
        if isinstance(error, MixsyncError):
            raise error
        # Whatever it is, it may not take the code location down; the traceback goes to the log.
        logger.error("reading the configured syncs failed", exc_info=error)
        raise MixsyncError(f"reading the configured syncs failed by an unexpected {type(error).__name__}; see the log.")
    if not answers:
        raise MixsyncError(f"the state store did not answer within {seconds:g} seconds; check MIXSYNC_DATABASE_URL.")
    return answers[0]


def _read_file(file: Path) -> list[NamedSync]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return [NamedSync.from_dict(one) for one in data["syncs"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be read (%s); it will be written anew", file, type(error).__name__)
        return []


def _write_file(file: Path, syncs: Sequence[NamedSync]) -> None:
    text = json.dumps({"syncs": [asdict(sync) for sync in syncs]}, default=datetime.isoformat, indent=1)
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        if file.exists() and file.read_text(encoding="utf-8") == text:
            return
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(file)
    except OSError as error:
        # The next load asks the store again; only a store that is gone by then would be missed.
        logger.warning("%s cannot be written (%s)", file, error.strerror)
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
