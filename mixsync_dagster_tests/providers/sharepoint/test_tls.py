"""Certificates of Graph, of the sign-in service and of the bytes' hosts are verified, with the connection's bundle."""

import pytest

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.model.provider_configs import SharePointConfig
from mixsync_dagster.providers.sharepoint.factory import from_connection
from mixsync_dagster.testing.graph_simulator import GraphSimulator
from mixsync_dagster_tests.providers.sharepoint.support import fetch, one
from mixsync_dagster_tests.support.certificates import Authority


@pytest.fixture
def secure(tmp_path):
    """A simulator behind TLS; the trusted authority is in ca.pem."""
    context = Authority(tmp_path).server_context()
    with GraphSimulator(tls=context) as graph:
        yield graph


def provider_of(graph, **options):
    return from_connection(SharePointConfig.model_validate(graph.provider_config(site_id="root")), "/", **options)


def test_a_trusted_authority_is_enough_for_tokens_listings_and_bytes(secure, tmp_path, monkeypatch):
    # The libraries below msal would take these instead of what they are told.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    secure.default_library.put("a.txt", b"content")
    provider = provider_of(secure, ca_bundle=tmp_path / "ca.pem")
    assert fetch(provider, one(provider, "a.txt")) == b"content"
    provider.close()


def test_an_unknown_authority_is_not_told_the_secret(secure):
    provider = provider_of(secure)
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        provider.check()
    provider.close()
    assert secure.count() == 0
