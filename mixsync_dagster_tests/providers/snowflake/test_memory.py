"""Memory of a long listing: the pages and nothing else, whatever the number of rows."""

import tracemalloc

import pytest

from mixsync_dagster.providers.snowflake.listing import list_table
from mixsync_dagster_tests.providers.snowflake.made import shape

COLUMNS = [("ID", "NUMBER(38,0)"), ("N", "VARCHAR(9)"), ("AT", "TIMESTAMP_NTZ(9)")]
NANOSECOND = "2026-01-01T00:00:00.123456789"


class GeneratedRows:
    """A client whose answer is made while it is taken."""

    def __init__(self, count, keyed):
        self.count = count
        self.keyed = keyed

    def chunks(self, sql, binds=(), *, rows):
        for start in range(0, self.count, rows):
            numbers = range(start, min(self.count, start + rows))
            yield [(number, f"n{number}", NANOSECOND, number if self.keyed else 1) for number in numbers]


def peak_bytes(count, *, keyed):
    made = shape(COLUMNS, primary_key_columns=("ID",) if keyed else ())
    seen = 0
    tracemalloc.start()
    for page in list_table(GeneratedRows(count, keyed), made, None, 1000):
        seen += page.items.num_rows
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert seen == count
    return peak


@pytest.mark.parametrize("keyed", [True, False])
def test_a_listing_holds_pages_and_not_its_rows(keyed):
    few, many = peak_bytes(5_000, keyed=keyed), peak_bytes(40_000, keyed=keyed)
    assert many < few + 1_000_000
