"""Taking in the folder of configuration files at load: the good files count, the bad ones are told."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from mixsync_dagster.control.definitions import apply_definitions
from mixsync_dagster.control.yaml_files import load_definitions
from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.orchestration.snapshot import Problem
from mixsync_dagster.settings import environment_value
from mixsync_dagster.wiring import Services, offered

logger = logging.getLogger(__name__)

_SUFFIXES = (".yaml", ".yml")


def apply_folder(services: Services, folder: Path) -> list[Problem]:
    """Apply the folder's YAML files together and return one problem for each file that cannot be accepted.

    A file with any fault counts for nothing; what the others define is created or updated. Nothing is ever deleted
    here. The same files twice change nothing. Raises StoreUnavailable.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix in _SUFFIXES and _visible(path, folder))
    problems: list[Problem] = []
    while files:
        try:
            _apply(services, files)
        except InvalidInput as error:
            faults = _by_file(error, files)
            for file, sentences in faults.items():
                subject = f"file {file.relative_to(folder)}" if file != folder else f"folder {folder}"
                problems.append(Problem(subject, "\n".join(sentences)))
                logger.warning("%s is left out: %s", file, " ".join(sentences))
            # Without the faulty files the others may still lean on what they define; the next turn finds that out.
            left = [file for file in files if file not in faults]
            files = left if len(left) < len(files) else []
        else:
            break
    return problems


def _apply(services: Services, files: Sequence[Path]) -> None:
    applied = apply_definitions(
        services.store,
        load_definitions(files),
        offered=offered(),
        lookup=environment_value,
        clock=services.clock,
    )
    for warning in applied.warnings:
        logger.warning("%s", warning)


def _visible(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _by_file(error: InvalidInput, files: Sequence[Path]) -> dict[Path, list[str]]:
    """Return the sentences by the file that each begins with; those of no file go to the files' common folder."""
    found: dict[Path, list[str]] = {}
    for problem in error.problems:
        file = next((one for one in files if problem.message.startswith(f"{one}:")), files[0].parent)
        found.setdefault(file, []).append(problem.message)
    return found
