from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mixsync_dagster.errors import AccessDenied, ConfigurationError
from mixsync_dagster.model.provider_configs import SharePointConfig
from mixsync_dagster.providers.sharepoint.factory import from_connection
from mixsync_dagster.testing.graph_simulator import sign_in


def pair(passphrase=None):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "application of a test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encryption = (
        serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption).decode()
    return certificate.public_bytes(pem).decode(), private


def provider_of(world, certificate, private_key, **more):
    config = world.graph.provider_config(site_id="root")
    config["credentials"] = {
        "type": "certificate",
        "tenant_id": sign_in.TENANT,
        "client_id": sign_in.CLIENT_ID,
        "certificate": certificate,
        "private_key": private_key,
        **more,
    }
    world.made.append(from_connection(SharePointConfig.model_validate(config), "/", clock=world.clock))
    return world.made[-1]


@pytest.mark.parametrize("passphrase", [None, "a passphrase of no value"])
def test_a_registered_certificate_opens_the_library(world, passphrase):
    certificate, private_key = pair(passphrase)
    world.graph.sign_in.certificate = certificate
    more = {"private_key_passphrase": passphrase} if passphrase else {}
    provider_of(world, certificate, private_key, **more).check()


def test_an_unknown_certificate_is_named(world):
    world.graph.sign_in.certificate = pair()[0]
    with pytest.raises(AccessDenied, match=r"credentials\.certificate: .* not registered .*AADSTS700027"):
        provider_of(world, *pair()).check()


def test_a_key_that_cannot_be_used_is_named_and_not_shown(world):
    certificate, private_key = pair()
    with pytest.raises(ConfigurationError, match="it is not the RSA key of the certificate"):
        provider_of(world, certificate, pair()[1]).check()
    with pytest.raises(ConfigurationError, match=r"credentials\.private_key: it cannot be read") as caught:
        provider_of(world, certificate, private_key.replace("\n", "\nx", 2)).check()
    assert private_key[40:60] not in str(caught.value)
    with pytest.raises(ConfigurationError, match="passphrase"):
        provider_of(world, certificate, pair("secret of no value")[1]).check()
    assert world.graph.count("token") == 0
