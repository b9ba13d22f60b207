"""Links of answers lead to the connection's endpoint or the tenant's SharePoint, or nowhere."""

import json

import pytest

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.provider_configs import SharePointConfig
from mixsync_dagster.providers.sharepoint.client import GraphClient
from mixsync_dagster.providers.sharepoint.factory import settings_for
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.testing.fault_proxy import FaultProxy
from mixsync_dagster.testing.graph_simulator import GraphSimulator
from mixsync_dagster_tests.providers.sharepoint.support import fetch, one, paths, told


@pytest.fixture
def elsewhere():
    """Another host that would answer."""
    with GraphSimulator() as other:
        yield other


def test_next_links_to_another_host_are_not_followed(world, elsewhere):
    for number in range(12):
        world.put(f"{number}.txt", b"x")
    world.graph.faults.link_host = elsewhere.url
    pages = world.provider().list_pages()
    next(pages)
    with pytest.raises(ConfigurationError, match="link to another host"):
        next(pages)
    assert elsewhere.count() == 0


def test_a_stored_delta_link_to_another_host_is_not_followed(world, elsewhere):
    world.graph.faults.link_host = elsewhere.url
    head = world.provider().head()
    with pytest.raises(ConfigurationError, match="link to another host"):
        told(world.provider(), head)
    assert elsewhere.count() == 0


@pytest.mark.parametrize("download_urls", [True, False])
def test_addresses_of_bytes_at_another_host_are_not_fetched(world, elsewhere, download_urls):
    world.graph.faults.download_urls = download_urls
    world.graph.faults.download_host = elsewhere.url
    world.put("a.txt", b"x")
    provider = world.provider()
    with pytest.raises(ConfigurationError, match="names another host"):
        fetch(provider, one(provider, "a.txt"))
    assert elsewhere.count() == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "https://localhost/x",
        "https://evil.example/x",
        "https://contoso.sharepoint.com.evil.example/x",
        "https://contoso.sharepoint.com@evil.example/x",
        "https://evil.example#@contoso.sharepoint.com/x",
        "https://fabrikam.sharepoint.com/x",
        "http://contoso.sharepoint.com/x",
        "https://contoso.sharepoint.com:8443/x",
        "ftp://contoso.sharepoint.com/x",
        "file:///etc/passwd",
        "//contoso.sharepoint.com/x",
        "/x",
        "https://contoso.sharepoint.com:port/x",
        "",
    ],
)
def test_only_the_tenant_s_own_sharepoint_host_serves_bytes(world, url):
    config = SharePointConfig.model_validate(world.graph.provider_config(site_id="root"))
    client = GraphClient(settings_for(config, "/"), SimulatedClock())
    with pytest.raises(ConfigurationError, match="names another host"):
        client.download(url, "https://contoso.sharepoint.com/sites/x/a.txt")


def test_the_tenant_s_own_sharepoint_host_is_connected_to(world, monkeypatch):
    from mixsync_dagster.transport import http

    asked = []
    monkeypatch.setattr(http.HttpPool, "send", lambda pool, *request: asked.append((pool._host, *request)))
    config = SharePointConfig.model_validate(world.graph.provider_config(site_id="root"))
    client = GraphClient(settings_for(config, "/"), SimulatedClock())
    url = "https://contoso.sharepoint.com/_layouts/15/download.aspx?UniqueId=1&tempauth=v1"
    client.download(url, "https://contoso.sharepoint.com/sites/x/a.txt")
    target = "/_layouts/15/download.aspx?UniqueId=1&tempauth=v1"
    assert asked == [("contoso.sharepoint.com", "GET", target, {"Host": "contoso.sharepoint.com"})]


def test_links_that_name_the_address_that_was_asked_are_followed(graph, world):
    for number in range(12):
        world.put(f"{number}.txt", b"x")
    with FaultProxy(graph.url) as proxy:
        config = graph.provider_config(site_id="root")
        config |= {"graph_endpoint": f"{proxy.url}/v1.0", "authority_host": proxy.url}
        from mixsync_dagster.providers.sharepoint.factory import from_connection

        provider = from_connection(SharePointConfig.model_validate(config), "/")
        assert len(paths(provider.list_pages())) == 12
        assert fetch(provider, one(provider, "7.txt")) == b"x"
        provider.close()


def test_a_link_to_metadata_in_an_error_is_not_followed(world):
    world.graph.faults.add(
        "site", status=302, headers={"Location": "http://169.254.169.254/"}, body=json.dumps({}).encode()
    )
    with pytest.raises(ConfigurationError):
        world.provider().check()
