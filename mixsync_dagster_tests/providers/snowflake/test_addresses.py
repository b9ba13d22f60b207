"""The connector connects by itself, so that only hosts which are trusted are given to it."""

import pytest

from mixsync_dagster.errors import AddressRefused
from mixsync_dagster.providers.snowflake.factory import from_connection
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster_tests.providers.snowflake.test_factory import config

PUBLIC = "93.184.215.14"


def policy(*allowed):
    return AddressPolicy.of(allowed, resolve=lambda host, _port: [PUBLIC if host.endswith(".example") else host])


@pytest.mark.parametrize("host", ["public.example", "127.0.0.1", "snowflakecomputing.com.evil.example", PUBLIC])
def test_a_host_of_anybody_is_refused(host):
    with pytest.raises(AddressRefused):
        from_connection(config(host=host), "d.s.t", addresses=policy())


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("xy.eu.snowflakecomputing.com", ()),
        ("xy.privatelink.snowflakecomputing.com", ()),
        ("public.example", ("public.example",)),
        ("public.example", (f"{PUBLIC}/32",)),
        ("127.0.0.1", ("127.0.0.0/8",)),
        (None, ()),
    ],
)
def test_snowflakes_own_and_allowed_ones_are_taken(host, allowed):
    from_connection(config(host=host), "d.s.t", addresses=policy(*allowed)).close()
