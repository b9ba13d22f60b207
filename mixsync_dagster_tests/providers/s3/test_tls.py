"""Certificates are verified, by both ways of reading, unless the connection says otherwise."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.providers.s3.test_reading import LARGE, SMALL, content_of, fetch, item_of, ok
from mixsync_dagster_tests.support.certificates import Authority
from mixsync_dagster_tests.support.s3_servers import running_lying_server

BOTH = pytest.mark.parametrize("item", [item_of(SMALL), item_of(LARGE)], ids=["small", "large"])


@pytest.fixture
def serve(tmp_path, lying_settings):
    """Return settings for a TLS server whose certificate is as asked for; the trusted authority is in ca.pem."""
    running = []
    authority = Authority(tmp_path)

    def start(**options):
        context = authority.server_context(**options)
        running.append(running_lying_server(context))
        server = running[-1].__enter__()
        server.answer = lambda request: ok(SMALL if server.small else LARGE)
        return server, replace(lying_settings, endpoint_url=server.endpoint_url)

    yield start
    for one in running:
        one.__exit__(None, None, None)


def reading(settings, server, item):
    server.small = content_of(item) == SMALL
    return fetch(S3Provider(settings, SystemClock()), item)


@BOTH
def test_a_certificate_of_a_trusted_authority_is_taken(serve, tmp_path, item):
    server, settings = serve()
    assert reading(replace(settings, verify=str(tmp_path / "ca.pem")), server, item) == content_of(item)


@BOTH
def test_a_certificate_of_an_unknown_authority_is_refused(serve, item):
    server, settings = serve()
    with pytest.raises(ProviderUnavailable):
        reading(settings, server, item)


@BOTH
@pytest.mark.parametrize("wrong", [{"address": "127.0.0.2"}, {"age": timedelta(days=3)}], ids=["host", "expired"])
def test_a_certificate_for_another_host_or_time_is_refused(serve, tmp_path, item, wrong):
    server, settings = serve(**wrong)
    with pytest.raises(ProviderUnavailable):
        reading(replace(settings, verify=str(tmp_path / "ca.pem")), server, item)


@BOTH
def test_verification_can_be_switched_off(serve, item):
    server, settings = serve()
    assert reading(replace(settings, verify=False), server, item) == content_of(item)
