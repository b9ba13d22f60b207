"""The part of the Mixpeek API that a destination bucket uses, on loopback: uploads, objects, batches and tasks.

It behaves as the vendor's OpenAPI 0.81 says, and as its guides say where that is silent; what neither tells is noted
where it is decided. Nothing leaves this machine, and nothing is kept when it ends.
"""

from mixsync_dagster.testing.mixpeek_simulator.faults import Fault, MixpeekFaults
from mixsync_dagster.testing.mixpeek_simulator.simulator import API_KEY, NAMESPACE, Exchange, MixpeekSimulator

__all__ = ["API_KEY", "NAMESPACE", "Exchange", "Fault", "MixpeekFaults", "MixpeekSimulator"]
