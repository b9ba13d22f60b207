"""What is timed does its work: every reader finds every file, and ours holds a page at a time."""

import pytest

from mixsync_dagster_tests.benchmarks.page_readers import OURS, READERS
from mixsync_dagster_tests.benchmarks.pages import memory_of
from mixsync_dagster_tests.benchmarks.pages_server import serving

FILES = 1_250
MORE_MEGABYTES = 40


@pytest.fixture(scope="module")
def port():
    with serving(FILES) as port:
        yield port


@pytest.mark.parametrize(("name", "tool"), [(name, tool) for name, tools in READERS.items() for tool in tools])
def test_a_reader_finds_every_file(port, name, tool):
    assert next(iter(READERS[name])) == OURS
    counts = list(READERS[name][tool](port, FILES))
    assert sum(counts) == FILES
    assert len(counts) == (2 if name.startswith("drive") else 7)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(READERS))
def test_memory_does_not_grow_with_the_number_of_files(name, tmp_path):
    few, many = (memory_of(name, files, tmp_path) for files in (5_000, 100_000))
    assert many - few < MORE_MEGABYTES * 1_000_000
