"""Results that come in parts, as Snowflake sends them, through the real connector."""

import subprocess
import sys
from itertools import pairwise

import pyarrow as pa
import pytest

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.model.items import items_of
from mixsync_dagster.testing.snowflake_results import PreparedResult
from mixsync_dagster.testing.snowflake_simulator import Fault
from mixsync_dagster_tests.benchmarks.rows import LISTING, memory_of, rows_between


@pytest.fixture
def numbers(tables):
    """A table whose listing is answered in parts of odd sizes."""
    tables.run("CREATE TABLE $NUMBERS (ID NUMBER(38,0), NAME VARCHAR, SEEN TIMESTAMP_NTZ(9))")

    def answered_in(*sizes):
        tables.simulator.clear()
        bounds = [sum(sizes[:place]) for place in range(len(sizes) + 1)]
        parts = [rows_between(*pair) for pair in pairwise(bounds)]
        tables.simulator.results.append(PreparedResult.of("ORDER BY", parts))

    return answered_in


def listing(tables, after=None, **settings):
    return tables.provider("NUMBERS", primary_key_columns=("ID",), **settings).list_pages(after)


def test_pages_have_their_own_size_whatever_the_parts_have(tables, numbers):
    numbers(23, 1, 0, 40, 36)
    pages = list(listing(tables, page_rows=30))
    assert [page.items.num_rows for page in pages] == [30, 30, 30, 10]
    assert [item.path for page in pages for item in items_of(page.items)] == [str(number) for number in range(100)]
    assert sorted(tables.simulator.parts) == ["0/1", "0/2", "0/3", "0/4"]
    assert len(tables.simulator.texts()) == 2


def test_parts_are_fetched_as_they_are_read_and_no_further_than_a_few_ahead(tables, numbers):
    numbers(*[10] * 30)
    pages = listing(tables, page_rows=10)
    next(pages)
    assert len(tables.simulator.parts) <= 6
    pages.close()
    assert len(tables.simulator.parts) <= 6


@pytest.mark.slow
def test_a_listing_whose_urls_have_expired_goes_on_behind_its_last_page(tables, numbers):
    # The connector asks for a part ten times before it gives up.
    numbers(10, 10, 10)
    tables.simulator.faults.append(Fault("/results/0/2", status=403, times=10))
    pages = listing(tables, page_rows=10)
    first = next(pages)
    with pytest.raises(ProviderUnavailable):
        list(pages)
    numbers(10)
    assert [page.items.num_rows for page in listing(tables, first.cursor, page_rows=10)] == [10]
    (sent,) = [one for one in tables.simulator.statements if "WHERE" in one.sql]
    assert sent.binds == ("9",)


@pytest.mark.slow
def test_a_million_rows_take_no_more_memory_than_a_tenth_of_them(tmp_path):
    few, many = (memory_of(LISTING, rows, tmp_path) for rows in (100_000, 1_000_000))
    assert many < few + 50_000_000


def test_what_the_benchmark_reads_are_the_rows():
    table = rows_between(3, 5)
    assert table.schema == pa.schema(
        [("ID", pa.int64()), ("NAME", pa.string()), ("SEEN", pa.string()), ("ID2", pa.int64())]
    )
    assert table.column("ID").to_pylist() == [3, 4]


def test_the_benchmark_tells_its_readers():
    command = [sys.executable, "-m", "mixsync_dagster_tests.benchmarks.rows", "--help"]
    assert "--rows" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
