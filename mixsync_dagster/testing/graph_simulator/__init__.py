"""Microsoft Graph on loopback, as far as reading document libraries goes, with its sign-in service and SharePoint.

    with GraphSimulator() as graph:
        drive = graph.default_library
        drive.put("Contracts/2026/a.pdf", b"...", columns={"Team": "Legal"})
        graph.faults.add("delta", status=429, headers={"Retry-After": "7"}, times=2)
        ...  # a client with graph.graph_endpoint, graph.authority_host and graph.credentials()
        assert graph.count("delta") == 3

It is spoken to by real clients over HTTP, and answers in the service's forms: pages of deltas with next and delta
links, the same item twice, empty pages, 410 with a Location, addresses for bytes that end, errors with their codes.
One port serves all: `/v1.0/` is Graph, `/<tenant>/` the sign-in service, `/download/` the hosts of the bytes.
"""

from mixsync_dagster.testing.graph_simulator.drives import SimulatedDrive
from mixsync_dagster.testing.graph_simulator.faults import GraphFaults
from mixsync_dagster.testing.graph_simulator.simulator import GraphSimulator, LoggedRequest

__all__ = ["GraphFaults", "GraphSimulator", "LoggedRequest", "SimulatedDrive"]
