"""Certificates are verified, by both ways of reading, unless the connection says otherwise."""

import ipaddress
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.providers.s3.test_reading import LARGE, SMALL, content_of, fetch, item_of, ok
from mixsync_dagster_tests.support.s3_servers import running_lying_server

NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority of a test")])
BOTH = pytest.mark.parametrize("item", [item_of(SMALL), item_of(LARGE)], ids=["small", "large"])


def certificate(subject_key, issuer_key, *, authority, address="127.0.0.1", age=timedelta(0)):
    begin = datetime.now(UTC) - timedelta(hours=1) - age
    subject = NAME if authority else x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(NAME)
        .public_key(subject_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = [x509.IPAddress(ipaddress.ip_address(address))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def serve(tmp_path, lying_settings):
    """Return settings for a TLS server whose certificate is as asked for; the trusted authority is in ca.pem."""
    running = []
    authority = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ca.pem").write_bytes(certificate(authority, authority, authority=True))

    def start(**options):
        key = ec.generate_private_key(ec.SECP256R1())
        chain = tmp_path / "chain.pem"
        plain = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain.write_bytes(plain + certificate(key, authority, authority=False, **options))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
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
