from dataclasses import dataclass

import pytest

from mixsync_dagster.transport.origins import Origin, Pools


@dataclass(frozen=True)
class How:
    verify: bool = True
    connect_timeout_seconds: float = 1
    read_timeout_seconds: float = 1
    max_connections: int = 1
    addresses: None = None


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://Graph.Example.com/v1.0/x", "graph.example.com"),
        ("https://graph.example.com:443", "graph.example.com"),
        ("http://127.0.0.1:8080/a", "127.0.0.1:8080"),
        ("http://[::1]:9000/", "[::1]:9000"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url, authority):
    assert Origin.of(url).authority == authority


@pytest.mark.parametrize("url", ["ftp://h/", "//h/", "https://", "https://user@h/", "https://h:99999/", "no address"])
def test_other_addresses_have_none(url):
    assert Origin.of(url) is None


def test_a_pool_is_made_once_an_origin():
    pools = Pools(How())
    one, other = Origin.of("http://127.0.0.1:1/a"), Origin.of("http://127.0.0.1:2/a")
    assert pools.of(one) is pools.of(Origin.of("http://127.0.0.1:1/b"))
    assert pools.of(one) is not pools.of(other)
    pools.close()
    pools.close()
