"""What Dagster loads: `workspace.yaml` and `[tool.dg]` point here."""

import dagster as dg

from mixsync_dagster.orchestration.location import build_definitions


@dg.definitions
def defs() -> dg.Definitions:
    """Return the code location of mixsync_dagster."""
    return build_definitions()
