"""Connections to the API and to the sign-in go only where the policy lets them."""

import pytest

from mixsync_dagster.errors import AddressRefused
from mixsync_dagster.providers.google_drive.factory import from_connection
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster_tests.providers.google_drive.conftest import paths
from mixsync_dagster_tests.providers.google_drive.test_factory import config

# The simulator is allowed by its address; the name stands for another service of the same machine.
GUARD = AddressPolicy.of(["127.0.0.1"], resolve=lambda host, _port: ["127.0.0.9" if host == "inner.example" else host])


def test_an_allowed_address_is_read(server, world):
    world.put("in/a.txt", b"x")
    provider = from_connection(config(server), "/in", addresses=GUARD)
    assert paths(provider) == ["in/a.txt"]
    provider.close()


def test_the_api_is_not_asked_elsewhere(server):
    provider = from_connection(config(server, api_endpoint="https://inner.example/drive/v3/"), "/in", addresses=GUARD)
    with pytest.raises(AddressRefused, match=r"inner\.example"):
        provider.check()
    provider.close()


def test_no_token_is_fetched_elsewhere(server):
    account = {**server.service_account(), "token_uri": "https://inner.example/token"}
    provider = from_connection(config(server, credentials=account), "/in", addresses=GUARD)
    with pytest.raises(AddressRefused, match=r"inner\.example"):
        provider.check()
    provider.close()
