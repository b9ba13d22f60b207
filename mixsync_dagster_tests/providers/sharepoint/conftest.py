"""A simulated Graph for each test, and providers over its libraries."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from mixsync_dagster.model.provider_configs import SharePointConfig
from mixsync_dagster.providers.sharepoint.factory import from_connection
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.graph_simulator import GraphSimulator


@dataclass
class GraphWorld:
    """A simulator and the settings by which providers read its default library."""

    graph: GraphSimulator
    page_rows: int = 5
    clock: SimulatedClock = field(default_factory=SimulatedClock)
    made: list[Any] = field(default_factory=list)

    @property
    def drive(self):
        return self.graph.default_library

    def provider(self, folder="", *, delegated=False, **settings):
        """Return a provider of a folder of the connection's library, by default of the tenant's root site."""
        given = settings or {"site_id": "root"}
        config = SharePointConfig.model_validate(self.graph.provider_config(delegated=delegated, **given))
        self.made.append(from_connection(config, folder, clock=self.clock))
        return self.made[-1]

    def put(self, path, content, *, tags=None, metadata=None, properties=None):
        return self.drive.put(path, content, columns=properties)

    def delete(self, path):
        self.drive.delete(path)


@pytest.fixture
def graph():
    with GraphSimulator(page_size=5) as simulator:
        yield simulator


@pytest.fixture
def world(graph):
    world = GraphWorld(graph)
    yield world
    for provider in world.made:
        provider.close()
