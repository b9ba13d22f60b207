"""How many transfers to make at once: as many as still make things faster, found by trying."""

from __future__ import annotations

FIRST_WIDTH = 4
"""Where the search begins. Without latency to hide, more threads only wait for each other's turn in the interpreter:
on two cores, eight read small files a tenth slower than four."""

PERIOD_SECONDS = 0.25
"""How long a width is tried before it is judged."""

_GAIN = 1.15
"""A wider pool must be at least this much faster to be kept: less is noise."""

_WAITING_SECONDS = 0.01
"""A transfer of one unit that takes longer than this, with few at once, waits for an answer most of the time."""

_PATIENCE = 12
"""Periods to stay with a width that was found best before looking again: a moment's noise is soon corrected."""


class AdaptiveWidth:
    """Climbs by fours, later by twos, while the throughput grows; falls back when it does not.

    Where a single transfer takes so long that only waiting explains it, the first step goes to the cap at once.

    The first period after a change is not judged: transfers begun at the old width end in it.
    """

    def __init__(self, cap: int) -> None:
        self._cap = max(1, cap)
        self.width = min(FIRST_WIDTH, self._cap)
        self._narrower: tuple[int, float] | None = None
        self._resting = 0
        self._settling = False

    def judge(self, rate: float) -> int:
        """Take the throughput that the present width reached over a period; return the width for the next one."""
        if self._settling:
            self._settling = False
            return self.width
        if self._resting > 0:
            self._resting -= 1
            if self._resting == 0:
                self._widen(rate)
            return self.width
        if self._narrower is not None and rate < self._narrower[1] * _GAIN:
            self.width = self._narrower[0]
            self._narrower = None
            self._resting = _PATIENCE
        elif self.width < self._cap:
            self._widen(rate)
        return self.width

    def _widen(self, rate: float) -> None:
        if self.width >= self._cap:
            return
        self._narrower = (self.width, rate)
        self._settling = True
        if self.width == FIRST_WIDTH and self.width / max(rate, 1.0) > _WAITING_SECONDS:
            self.width = self._cap
        else:
            self.width = min(self._cap, self.width * (4 if self.width < 64 else 2))  # noqa: PLR2004 - see the class
