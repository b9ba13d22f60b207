"""A certificate authority of a test, and servers' certificates signed by it."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_NAME = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority of a test")])
_SERVER = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "server")])


class Authority:
    """Keeps its own certificate in `pem`, a file of the folder, for those who are to trust it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.pem = folder / "ca.pem"
        self.pem.write_bytes(self._signed(self._key, authority=True))

    def server_context(self, *, address: str = "127.0.0.1", age: timedelta = timedelta(0)) -> ssl.SSLContext:
        """Return the context of a server at this address whose certificate of one day was made `age` ago."""
        key = ec.generate_private_key(ec.SECP256R1())
        plain = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        chain = self._folder / "chain.pem"
        chain.write_bytes(plain + self._signed(key, authority=False, address=address, age=age))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    def _signed(
        self,
        subject_key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool,
        address: str = "127.0.0.1",
        age: timedelta = timedelta(0),
    ) -> bytes:
        begin = datetime.now(UTC) - timedelta(hours=1) - age
        builder = (
            x509.CertificateBuilder()
            .subject_name(_NAME if authority else _SERVER)
            .issuer_name(_NAME)
            .public_key(subject_key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if not authority:
            names = [x509.IPAddress(ipaddress.ip_address(address))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
