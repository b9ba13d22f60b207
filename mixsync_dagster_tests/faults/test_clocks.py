"""A worker whose clock is an hour off breaks nothing, and on PostgreSQL takes nothing either."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mixsync_dagster_tests.faults.cases import ClockOff, Tally
from mixsync_dagster_tests.faults.worlds import Database

Clean = Callable[..., Tally]
HOUR = 3600.0
DATABASES = ["sqlite", "postgres"]


def libfaketime() -> str | None:
    """Return where Debian and Fedora put it."""
    found = [path for root in ("/usr/lib", "/usr/lib64") for path in Path(root).glob("**/faketime/libfaketimeMT.so.1")]
    return str(found[0]) if found else None


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize("seconds", [HOUR, -HOUR])
def test_a_clock_that_is_an_hour_off_breaks_nothing(clean: Clean, database: Database, seconds: float) -> None:
    assert clean(ClockOff(seconds, database)).total("freezes") == 1


@pytest.mark.slow
@pytest.mark.parametrize("database", DATABASES)
def test_a_machine_whose_clock_is_an_hour_off_breaks_nothing(clean: Clean, database: Database) -> None:
    library = libfaketime()
    if library is None:
        pytest.skip("libfaketime is not installed (Debian: faketime)")
    began = time.monotonic()
    clean(ClockOff(HOUR, database, faketime=library), ClockOff(-HOUR, database, faketime=library))
    assert time.monotonic() - began < HOUR
