"""The search for the best number of transfers at once."""

from __future__ import annotations

import pytest

from mixsync_dagster.engine.width import AdaptiveWidth


def widths(width: AdaptiveWidth, rates: list[float]) -> list[int]:
    """Judge rates given in hundreds of units a second, and return the width after each."""
    return [width.judge(100 * rate) for rate in rates]


def test_the_search_begins_with_four() -> None:
    assert AdaptiveWidth(256).width == 4


@pytest.mark.parametrize(("cap", "first"), [(1, 1), (3, 3), (4, 4), (9, 4), (0, 1)])
def test_a_low_cap_bounds_even_the_first_width(cap: int, first: int) -> None:
    assert AdaptiveWidth(cap).width == first


def test_it_climbs_by_fours_and_later_by_twos_while_throughput_grows() -> None:
    grown = widths(AdaptiveWidth(1000), [100, 0, 200, 0, 400, 0, 800, 0, 1600, 0, 3200])
    assert grown == [16, 16, 64, 64, 128, 128, 256, 256, 512, 512, 1000]


def test_it_never_goes_over_the_cap() -> None:
    assert widths(AdaptiveWidth(20), [100, 0, 200, 400, 800]) == [16, 16, 20, 20, 20]


def test_the_first_period_at_a_new_width_is_not_judged() -> None:
    assert widths(AdaptiveWidth(256), [100, 1, 200]) == [16, 16, 64]


def test_it_falls_back_when_wider_was_not_clearly_faster() -> None:
    assert widths(AdaptiveWidth(256), [100, 0, 114]) == [16, 16, 4]


def test_a_gain_of_fifteen_percent_is_enough_to_stay_wider() -> None:
    assert widths(AdaptiveWidth(256), [100, 0, 116]) == [16, 16, 64]


def test_it_rests_for_twelve_periods_before_it_looks_again() -> None:
    width = AdaptiveWidth(256)
    widths(width, [100, 0, 100])
    assert widths(width, [100.0] * 11) == [4] * 11
    assert widths(width, [100]) == [16]


def test_a_second_look_is_measured_against_the_present_throughput() -> None:
    width = AdaptiveWidth(256)
    widths(width, [100, 0, 100] + [50.0] * 12)
    assert width.width == 16
    assert widths(width, [0, 60]) == [16, 64]


def test_with_a_cap_of_one_it_stays_at_one() -> None:
    assert widths(AdaptiveWidth(1), [1, 100, 10_000]) == [1, 1, 1]


def test_where_transfers_mostly_wait_the_first_step_goes_to_the_cap() -> None:
    assert widths(AdaptiveWidth(256), [2.6]) == [256]


def test_a_jump_that_gained_nothing_is_taken_back() -> None:
    assert widths(AdaptiveWidth(256), [2.6, 0, 2.7]) == [256, 256, 4]


@pytest.mark.parametrize("latency_seconds", [0.002, 0.05])
def test_after_a_storm_of_rate_limits_throughput_is_back_within_seconds(latency_seconds: float) -> None:
    width = AdaptiveWidth(256)

    def rate() -> float:
        return min(width.width, 200) / latency_seconds

    for _ in range(100):
        width.judge(rate())
    before = rate()
    for _ in range(8):
        # Quiet for a minute, then a burst that is refused again.
        width.judge(1.0)
        width.judge(rate() / 2)
    # Sixteen seconds later, and ever after but for the periods of a new look.
    for _ in range(64):
        width.judge(rate())
    after = []
    for _ in range(400):
        width.judge(rate())
        after.append(rate())
    assert sum(after) / len(after) >= 0.8 * before
