"""Which requests of a FaultProxy are struck: rules that match, count and draw."""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping

from mixsync_dagster.testing.fault_traffic import ProxiedRequest
from mixsync_dagster.testing.faults import Fault

_FRACTION_BYTES = 7
"""A float holds 53 bits: seven bytes say more than it can tell apart."""


class Rule:
    """Faults, and the requests that they strike. A rule belongs to one proxy; its counts begin when it is made.

    A request matches when it fits everything that is given:

    - `method`: one method, or several, e.g. `("GET", "HEAD")`.
    - `path`: a regular expression that is searched in the path as it came over the wire, percent-encoded.
    - `query`: for each name a regular expression that is searched in the parameter's decoded value; None as a value:
      the parameter is absent.
    - `when`: any predicate; called by several threads at once.

    Of the matching requests the rule takes those from number `first` on (1: from the start), then every `every`-th, at
    most `times` (None: no end). With `probability`, each of those is taken or left by a draw that depends on the
    proxy's seed, the rule's place among the rules, the request's method and target, and how often the rule has met that
    same request before: whatever the order in which threads come, the same requests are struck. (`times` together with
    `probability` counts what was drawn, and so does depend on the order.)

    Raises ValueError for counts below 1, a probability outside 0..1, and rules without a fault.
    """

    def __init__(
        self,
        *faults: Fault,
        method: str | tuple[str, ...] | None = None,
        path: str | None = None,
        query: Mapping[str, str | None] | None = None,
        when: Callable[[ProxiedRequest], bool] | None = None,
        first: int = 1,
        every: int = 1,
        times: int | None = None,
        probability: float | None = None,
    ) -> None:
        if not faults:
            raise ValueError("faults: none is given; give at least one.")
        for name, count in (("first", first), ("every", every), ("times", times)):
            if count is not None and count < 1:
                raise ValueError(f"{name}: {count} is not accepted; give 1 or more.")
        if probability is not None and not 0.0 <= probability <= 1.0:
            raise ValueError(f"probability: {probability} is not accepted; give a number from 0 to 1.")
        self.faults = faults
        self._methods = (method,) if isinstance(method, str) else method
        self._path = None if path is None else re.compile(path)
        self._query = {name: None if text is None else re.compile(text) for name, text in (query or {}).items()}
        self._when = when
        self._first = first
        self._every = every
        self._times = times
        self._probability = probability
        self._lock = threading.Lock()
        self._met: dict[str, int] = {}
        self._matched = 0
        self._taken = 0

    @property
    def matched(self) -> int:
        """How many requests fitted, taken or not."""
        return self._matched

    @property
    def taken(self) -> int:
        """How many requests were given the faults."""
        return self._taken

    def takes(self, request: ProxiedRequest, seed: str) -> bool:
        """Return whether the request is to be struck, and count it; called once a request. Thread-safe."""
        if not self._fits(request):
            return False
        with self._lock:
            self._matched += 1
            if self._times is not None and self._taken >= self._times:
                return False
            if self._matched < self._first or (self._matched - self._first) % self._every:
                return False
            if self._probability is not None and self._draw(request, seed) >= self._probability:
                return False
            self._taken += 1
            return True

    def _fits(self, request: ProxiedRequest) -> bool:
        if self._methods is not None and request.method not in self._methods:
            return False
        if self._path is not None and self._path.search(request.path) is None:
            return False
        for name, pattern in self._query.items():
            value = request.parameter(name)
            if (pattern is None) != (value is None):
                return False
            if pattern is not None and value is not None and pattern.search(value) is None:
                return False
        return self._when is None or self._when(request)

    def _draw(self, request: ProxiedRequest, seed: str) -> float:
        identity = f"{request.method} {request.target}"
        times = self._met[identity] = self._met.get(identity, 0) + 1
        digest = hashlib.sha256(f"{seed}\n{identity}\n{times}".encode()).digest()
        drawn: float = int.from_bytes(digest[:_FRACTION_BYTES], "big") / 256**_FRACTION_BYTES
        return drawn
