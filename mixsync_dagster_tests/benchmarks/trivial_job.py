"""The least that a Dagster run can do; what our one-object run is compared with."""

from dagster import in_process_executor, job, op


@op
def nothing() -> None:
    """Do nothing."""


@job(executor_def=in_process_executor)
def trivial() -> None:
    """Run one op that does nothing, in the process that started the run, as our jobs do by default."""
    nothing()
