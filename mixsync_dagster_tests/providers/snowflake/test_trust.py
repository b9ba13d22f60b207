"""MIXSYNC_CA_BUNDLE decides whose certificates the connector trusts."""

import pytest

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.provider_configs import SnowflakeConfig
from mixsync_dagster.settings import Settings
from mixsync_dagster.testing.snowflake_simulator import running
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.support.certificates import Authority

CREDENTIALS = {"type": "username_password", "username": "reader", "password": "fake"}


@pytest.fixture
def services(tmp_path, monkeypatch):
    """Return a function that opens services whose clients trust a bundle, or the usual certificates."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "restored by the fixture")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    opened = []

    def open_services(bundle=None):
        given = {"MIXSYNC_HOME": str(tmp_path / "home"), "MIXSYNC_CHECK_SECONDS": "600"}
        settings = Settings.load(given if bundle is None else given | {"MIXSYNC_CA_BUNDLE": str(bundle)})
        Services.init(settings)
        opened.append(Services.open(settings))
        return opened[-1]

    yield open_services
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def check(services, simulator):
    config = {"account": "acct", "warehouse": "WH", "credentials": CREDENTIALS, "protocol": "https"}
    place = {"host": simulator.host, "port": simulator.port, "database": "TRUSTED", "schema": "S"}
    services.check_source(SnowflakeConfig(**config, **place), "INFORMATION_SCHEMA.TABLES")


def test_a_certificate_of_the_bundle_is_trusted_and_no_other(services, authority):
    with running(authority.server_context()) as simulator:
        with pytest.raises(ConfigurationError) as refused:
            check(services(), simulator)
        assert str(refused.value) == (
            "The account acct shows a certificate that is not trusted here (code 250003); set MIXSYNC_CA_BUNDLE to the "
            "PEM file of the authority that signed it."
        )
        assert simulator.logins == []
        check(services(authority.pem), simulator)
        assert len(simulator.logins) == 1


def test_a_certificate_for_another_host_is_not_trusted(services, authority):
    with running(authority.server_context(address="127.0.0.9")) as simulator:
        with pytest.raises(ConfigurationError, match="a certificate that is not trusted here"):
            check(services(authority.pem), simulator)
        assert simulator.logins == []
