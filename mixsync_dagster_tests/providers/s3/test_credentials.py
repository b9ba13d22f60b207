from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from mixsync_dagster.errors import AccessDenied, ConfigurationError, ProviderUnavailable
from mixsync_dagster.providers.s3.client import key_source
from mixsync_dagster.providers.s3.credentials import Keys, RenewedKeys, given_keys
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.support.s3_servers import Reply

ROLE = "arn:aws:iam::123456789012:role/reader"


def renewed(clock, seconds=3600):
    fetched = []

    def fetch():
        fetched.append(clock.now())
        return Keys(f"AKID{len(fetched)}", "secret", "token", clock.now() + timedelta(seconds=seconds))

    return RenewedKeys(fetch, clock), fetched


def test_keys_are_fetched_once_and_again_before_they_expire():
    clock = SimulatedClock()
    source, fetched = renewed(clock)
    assert source.current().access_key_id == "AKID1"
    clock.advance(3600 - 301)
    assert source.current().access_key_id == "AKID1"
    clock.advance(2)
    assert source.current().access_key_id == "AKID2"
    assert len(fetched) == 2


def test_many_threads_fetch_keys_once():
    source, fetched = renewed(SimulatedClock())
    with ThreadPoolExecutor(16) as threads:
        names = {keys.access_key_id for keys in threads.map(lambda _: source.current(), range(64))}
    assert names == {"AKID1"}
    assert len(fetched) == 1


def test_half_a_pair_of_keys_is_refused():
    with pytest.raises(ConfigurationError, match="together"):
        given_keys(S3Settings("b", access_key_id="AKID"))


def test_no_keys_and_no_role_are_refused():
    with pytest.raises(ConfigurationError, match="access key"):
        key_source(S3Settings("b"), SystemClock())


@pytest.mark.parametrize(
    "reply", [Reply(503, b"<html>down</html>"), Reply(200, b"<html>a proxy</html>"), Reply(500, b"")]
)
def test_a_role_service_that_fails_is_an_outage(lying_server, reply):
    lying_server.answer = lambda _: reply
    with pytest.raises(ProviderUnavailable, match="role service"):
        key_source(role_settings(lying_server), SystemClock()).current()


def test_keys_are_not_shown():
    assert "CANARY" not in repr(Keys("AKID", "CANARY", "CANARY"))


def test_a_role_is_assumed_with_its_external_id(moto_server):
    settings = S3Settings(
        "b",
        access_key_id="AKID",
        secret_access_key="s",
        role_arn=ROLE,
        external_id="outside-1",
        sts_endpoint_url=moto_server.endpoint_url,
    )
    keys = key_source(settings, SystemClock()).current()
    assert keys.access_key_id.startswith("ASIA")
    assert keys.session_token
    assert keys.expires_at is not None


def role_settings(lying_server):
    return S3Settings(
        "b", access_key_id="A", secret_access_key="s", role_arn=ROLE, sts_endpoint_url=lying_server.endpoint_url
    )


def test_a_role_that_may_not_be_assumed_is_named(lying_server):
    lying_server.answer = lambda _: Reply(
        403, b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
    )
    with pytest.raises(AccessDenied, match="role/reader"):
        key_source(role_settings(lying_server), SystemClock()).current()


def test_a_role_service_that_does_not_answer_is_an_outage():
    settings = S3Settings(
        "b", access_key_id="A", secret_access_key="s", role_arn=ROLE, sts_endpoint_url="http://127.0.0.1:1"
    )
    with pytest.raises(ProviderUnavailable, match="role service"):
        key_source(settings, SystemClock()).current()


def test_providers_of_one_connection_assume_a_role_once(lying_server):
    lying_server.answer = lambda _: Reply(
        200,
        b"<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA</AccessKeyId><SecretAccessKey>s"
        b"</SecretAccessKey><SessionToken>t</SessionToken><Expiration>2100-01-01T00:00:00Z</Expiration></Credentials>"
        b"</AssumeRoleResult></AssumeRoleResponse>",
    )
    settings = role_settings(lying_server)
    for one in (
        settings,
        settings,
        replace(settings, connection_id="conn_2"),
        replace(settings, external_id="outside-1"),
    ):
        assert key_source(one, SystemClock()).current().access_key_id == "ASIA"
    assert len(lying_server.seen) == 3
