"""One laboratory for all tests here: its servers and templates cost seconds, a world of it a tenth of one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mixsync_dagster_tests.faults.cases import Case, Tally, carry_out
from mixsync_dagster_tests.faults.worlds import Lab
from mixsync_dagster_tests.support.postgres import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def lab(postgres: PostgresServer) -> Iterator[Lab]:
    with Lab(postgres=postgres, dagster=True) as made:
        yield made


@pytest.fixture
def clean(lab: Lab) -> Callable[..., Tally]:
    """Carry cases out, expect that nothing is found, and return what they came to."""

    def run(*cases: Case) -> Tally:
        tally = carry_out(lab, cases)
        assert not tally.bad, tally.explain()
        return tally

    return run
