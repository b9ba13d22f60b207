"""Distinct markers in every secret field of every provider, and a search that finds them wherever they leak.

A test gives `Canary.credentials` to a connection, lets it work and fail, and then searches every place that people or
machines can read: `leaks_in(canaries, places) == []`.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, get_args
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mixsync_dagster.model import credentials as models
from mixsync_dagster.model.base import Model
from mixsync_dagster.model.secrets import Secret

Place = tuple[str, bytes]
"""Where a search looks: a name for the report, and what can be read there."""

_SHORTEST = 16
"""Needles are random and at least this long: shorter ones would be found by chance."""


@dataclass(frozen=True)
class Canary:
    """Credentials of one type with a marker in each of their secret fields."""

    provider_type: str
    credentials: Mapping[str, Any]
    """What goes into `provider_config.credentials`; accepted by the models, unknown to every provider."""
    needles: Mapping[str, Sequence[str]]
    """Texts that must be found nowhere, by the field that they stand in; each is enough to tell a leak."""

    @property
    def name(self) -> str:
        """Provider and type of the credentials."""
        return f"{self.provider_type}.{self.credentials['type']}"


def make_canaries() -> list[Canary]:
    """Return one canary for each type of credentials that the models know, with new markers at every call."""
    made = [_canary(provider, model) for provider, model in _types()]
    assert len(made) >= 10, "a provider without a canary would not be searched for"
    return made


def canary_of(provider_type: str, credentials_type: str, **given: Any) -> Canary:
    """Return a new canary of one type; `given` fields that are not secret take these values instead of made ones."""
    for provider, model in _types():
        if (provider, _kind(model)) == (provider_type, credentials_type):
            return _canary(provider, model, given)
    message = f"there are no credentials {credentials_type} of {provider_type}"
    raise LookupError(message)


def canary_with(provider_type: str, credentials: Mapping[str, Any], *fields: str) -> Canary:
    """Return a canary of credentials that are given as they are; the values of `fields` are the markers."""
    return Canary(provider_type, credentials, {name: _parts(str(credentials[name])) for name in fields})


def leaks_in(canaries: Iterable[Canary], places: Iterable[Place]) -> list[str]:
    """Return `place: provider.type.field (form)` for every marker that can be read, in any usual encoding."""
    forms = [
        (f"{canary.name}.{field}", form, needle)
        for canary in canaries
        for field, texts in canary.needles.items()
        for text in texts
        for form, needle in _forms(text)
    ]
    assert forms, "without markers nothing would be searched for"
    found: dict[str, None] = {}
    for place, content in places:
        for field, form, needle in forms:
            if needle in content:
                found[f"{place}: {field} ({form})"] = None
    return list(found)


def files_below(*folders: Path, without: Sequence[str] = ()) -> Iterator[Place]:
    """Yield every file below the folders, whatever it is: databases, logs, spools, Dagster's home; none is an error.

    Files whose name is one of `without` (a key that belongs there) are left out. Gzip is unpacked.
    """
    seen = 0
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.name not in without:
                content = path.read_bytes()
                seen += 1
                yield str(path), content
                if content[:2] == b"\x1f\x8b":
                    yield f"{path} (unpacked)", gzip.decompress(content)
    assert seen, "the folders are empty: nothing was searched"


def text_place(name: str, text: str) -> Place:
    """Return a text, such as an answer or a log, as a place."""
    return name, text.encode("utf-8", "surrogatepass")


def _types() -> Iterator[tuple[str, type[Model]]]:
    for provider, union in (
        ("s3", models.S3Credentials),
        ("google_drive", models.GoogleDriveCredentials),
        ("sharepoint", models.SharePointCredentials),
        ("snowflake", models.SnowflakeCredentials),
    ):
        yield from ((provider, model) for model in get_args(get_args(union)[0]))
    yield "tigris", models.TigrisAccessKeyCredentials


def _kind(model: type[Model]) -> str:
    return str(get_args(model.model_fields["type"].annotation)[0])


def secret_fields(model: type[Model]) -> list[str]:
    """Return the fields of a credentials model that hold secrets."""
    return [name for name, field in model.model_fields.items() if _holds_secret(field.annotation)]


def _holds_secret(annotation: Any) -> bool:
    return annotation is Secret or any(_holds_secret(one) for one in get_args(annotation))


def _canary(provider: str, model: type[Model], given: Mapping[str, Any] | None = None) -> Canary:
    markers: dict[str, str] = {}
    passphrase = None
    for field in secret_fields(model):
        if field != "private_key":
            markers[field] = f"cnry-{secrets.token_hex(16)}"
    if "private_key_passphrase" in markers:
        passphrase = markers["private_key_passphrase"]
    if "private_key" in model.model_fields:
        markers["private_key"] = private_key_pem(passphrase)
    plain = {name: _plain(name) for name in model.model_fields if name not in markers}
    values = {**plain, **(given or {}), **markers, "type": _kind(model)}
    return Canary(
        provider,
        {name: value for name, value in values.items() if value is not None},
        {field: _parts(value) for field, value in markers.items()},
    )


def _plain(field: str) -> str | None:
    """Return a value that is no secret; None where the default serves."""
    return {
        "role_arn": "arn:aws:iam::123456789012:role/canary",
        "client_email": "canary@project.iam.gserviceaccount.com",
        "token_uri": None,
        "certificate": certificate_pem() if field == "certificate" else None,
    }.get(field, f"plain-{field}".replace("_", "-"))


def _parts(value: str) -> tuple[str, ...]:
    """Return what a leak of the value is told by: each line of a key, for logs and JSON break lines differently."""
    if "-----BEGIN" not in value:
        assert len(value) >= _SHORTEST, "a short marker would be found by chance"
        return (value,)
    lines = [line for line in value.splitlines() if "-----" not in line and len(line) >= _SHORTEST]
    # The first line of a key says its kind and size, which every key of that kind begins with.
    return tuple(lines[1:])


def private_key_pem(passphrase: str | None = None) -> str:
    """Return a new RSA key in PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, protection).decode()


@cache
def certificate_pem() -> str:
    """Return a self-signed certificate; it is public."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "canary")])
    begin = datetime.now(UTC) - timedelta(days=1)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(x509.random_serial_number()).not_valid_before(begin)
    signed = built.not_valid_after(begin + timedelta(days=30)).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()


def _forms(text: str) -> list[tuple[str, bytes]]:
    """Return how a text may stand in a file: as it is, quoted, in hexadecimal, or inside of base64."""
    data = text.encode()
    made = [
        ("plain", data),
        ("percent-encoded", quote(text, safe="").encode()),
        ("JSON", json.dumps(text)[1:-1].encode()),
        ("hexadecimal", binascii.hexlify(data)),
        ("UTF-16", text.encode("utf-16-le")),
    ]
    for shift in range(3):
        # Base64 of a longer text holds these characters, wherever in it the marker begins.
        coded = base64.b64encode(b"\0" * shift + data)
        start, end = -(-shift * 4 // 3), (shift + len(data)) // 3 * 4
        made.append(("base64", coded[start + (1 if shift else 0) : end]))
    return list({needle: (form, needle) for form, needle in reversed(made)}.values())
