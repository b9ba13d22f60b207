"""What Dagster loads: `workspace.yaml` and `[tool.dg]` point here."""

import gc
from functools import cache

import dagster as dg

from mixsync_dagster.orchestration.location import build_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Return the code location of mixsync_dagster; the same for as long as the process lives.

    Dagster asks several times while it starts a run, and a reload is a new process.
    """
    return _built()


@cache
def _built() -> dg.Definitions:
    built = build_definitions()
    # The same holds for all this: see the package `orchestration`.
    gc.freeze()
    return built
