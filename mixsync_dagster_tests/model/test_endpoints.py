from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from mixsync_dagster.model.endpoints import EndpointUrl, ServiceUrl, is_loopback

ENDPOINT = TypeAdapter(EndpointUrl)
SERVICE = TypeAdapter(ServiceUrl)


@pytest.mark.parametrize(
    "url",
    [
        "https://minio.example.com",
        "https://nyc3.digitaloceanspaces.com:8443",
        "http://localhost:9000",
        "http://127.0.0.1:9000",
        "http://127.8.9.1",
        "http://[::1]:9000",
        "https://10.0.0.5/s3",
    ],
)
def test_these_endpoints_are_accepted(url):
    assert ENDPOINT.validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "minio.example.com",
        "ftp://example.com",
        "https://",
        "https://host/",
        "https://host:99999",
        "https://host:0",
        "https://user:pass@host",
        "https://host?x=1",
        "https://host#x",
        "https://ho st",
        "http://minio:9000",
        "http://10.0.0.5",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://0.0.0.0:9000",
        " https://host",
    ],
)
def test_these_endpoints_are_refused(url):
    with pytest.raises(ValidationError):
        ENDPOINT.validate_python(url)


def test_a_service_address_may_end_with_a_slash():
    assert SERVICE.validate_python("http://127.0.0.1:9100/drive/v3/") == "http://127.0.0.1:9100/drive/v3/"


@pytest.mark.parametrize(("host", "loopback"), [("LOCALHOST", True), ("::1", True), ("0.0.0.0", False), ("", False)])
def test_loopback_is_told_by_the_name_alone(host, loopback):
    assert is_loopback(host) is loopback
