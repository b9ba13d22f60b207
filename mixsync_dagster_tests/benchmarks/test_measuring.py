from pathlib import Path

import pytest

from mixsync_dagster_tests.benchmarks.measuring import (
    BenchmarkFailed,
    Command,
    Sample,
    Series,
    as_row,
    measure,
    paired_ratio,
)

OURS = Series("mixsync", [Sample(2.0, 1.0, 10_000_000), Sample(9.0, 3.0, 30_000_000), Sample(3.0, 2.0, 20_000_000)], {})
PEER = Series("peer", [Sample(4.0, 1.0, 1), Sample(6.0, 1.0, 1), Sample(2.0, 1.0, 1)], {"get": 7})


def test_a_series_reports_median_times_and_its_highest_memory() -> None:
    assert (OURS.wall_seconds, OURS.cpu_seconds, OURS.peak_rss_bytes) == (3.0, 2.0, 30_000_000)


def test_the_ratio_pairs_round_with_round_and_takes_the_median() -> None:
    # The rounds give 0.5, 1.5 and 1.5; the ratio of the medians would be 0.75.
    assert paired_ratio(OURS, PEER) == 1.5
    assert paired_ratio(PEER, OURS) == pytest.approx(2 / 3)


def test_rounds_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired_ratio(OURS, Series("short", PEER.samples[:2], {}))


def test_a_row_has_rates_by_the_median_time() -> None:
    assert as_row(PEER, OURS, objects=1000, content_bytes=8_000_000) == {
        "tool": "peer",
        "wall_seconds": 4.0,
        "cpu_seconds": 1.0,
        "objects_per_second": 250.0,
        "megabytes_per_second": 2.0,
        "cpu_microseconds_per_object": 1000.0,
        "peak_rss_megabytes": 0.0,
        "ratio": 1.5,
        "requests": {"get": 7},
        "wall_seconds_of_rounds": [4.0, 6.0, 2.0],
    }


def test_our_own_row_has_no_ratio() -> None:
    assert as_row(OURS, OURS, objects=1, content_bytes=0)["ratio"] is None


def test_a_measured_process_reports_what_it_took(tmp_path: Path) -> None:
    sample = measure(Command(["sh", "-c", "echo $WORD"], {"WORD": "seen"}), tmp_path / "output.log")
    assert (tmp_path / "output.log").read_text() == "seen\n"
    assert sample.wall_seconds > 0
    assert sample.peak_rss_bytes > 100_000


def test_a_process_that_fails_gives_no_sample(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailed, match=r"exit status 3: broken"):
        measure(Command(["sh", "-c", "echo broken; exit 3"]), tmp_path / "output.log")
