"""Connections to Graph and to the sign-in go only where the policy lets them."""

import pytest

from mixsync_dagster.errors import AddressRefused
from mixsync_dagster.model.provider_configs import SharePointConfig
from mixsync_dagster.providers.sharepoint.factory import from_connection
from mixsync_dagster.transport.addresses import AddressPolicy

# The simulator is allowed by its address; the name stands for another service of the same machine.
GUARD = AddressPolicy.of(["127.0.0.1"], resolve=lambda host, _port: ["127.0.0.9" if host == "inner.example" else host])


def provider_of(world, **changes):
    config = SharePointConfig.model_validate({**world.graph.provider_config(site_id="root"), **changes})
    world.made.append(from_connection(config, "/", addresses=GUARD, clock=world.clock))
    return world.made[-1]


def test_an_allowed_address_is_read(world):
    provider_of(world).check()


@pytest.mark.parametrize("field", ["graph_endpoint", "authority_host"])
def test_nothing_is_asked_elsewhere(world, field):
    with pytest.raises(AddressRefused, match=r"inner\.example"):
        provider_of(world, **{field: "https://inner.example"}).check()
