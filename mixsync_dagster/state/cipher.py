"""Credentials at rest: AES-256-GCM under one key, each bound to its owner."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from mixsync_dagster.errors import ConfigurationError

KEY_FILE = "secret.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID_BYTES = 8
_FORMAT = b"\x01"
_MIN_PASSPHRASE = 32
_INFO = b"mixsync credentials"
_PEPPER_INFO = b"mixsync api keys"


class Cipher:
    """Encrypts mappings for one owner each, a connection or a bucket.

    The key's id is written in front, so that a wrong key is told apart from damage.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ConfigurationError(f"the secret key has {len(key)} bytes; give one of {_KEY_BYTES}.")
        self._aead = AESGCM(key)
        self._key_id = hashlib.sha256(b"key id:" + key).digest()[:_KEY_ID_BYTES]

    def __repr__(self) -> str:
        return "Cipher(**)"

    def encrypt(self, values: Mapping[str, Any], *, owner: str) -> bytes:
        """Return the values encrypted; decryption works for the same owner only."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps(dict(values), separators=(",", ":")).encode()
        return _FORMAT + self._key_id + nonce + self._aead.encrypt(nonce, plain, owner.encode())

    def decrypt(self, data: bytes, *, owner: str) -> dict[str, Any]:
        """Return the values. Raises ConfigurationError for another key, another owner or damaged data."""
        head = len(_FORMAT) + _KEY_ID_BYTES
        if data[: len(_FORMAT)] != _FORMAT or len(data) <= head + _NONCE_BYTES:
            raise ConfigurationError(f"the credentials of {owner} are damaged; set them again.")
        if data[len(_FORMAT) : head] != self._key_id:
            raise ConfigurationError(
                f"the credentials of {owner} were encrypted with another key; "
                "give that key again or set the credentials anew."
            )
        nonce, sealed = data[head : head + _NONCE_BYTES], data[head + _NONCE_BYTES :]
        try:
            plain = self._aead.decrypt(nonce, sealed, owner.encode())
        except InvalidTag as error:
            raise ConfigurationError(
                f"the credentials of {owner} are damaged or belong to another owner; set them again."
            ) from error
        values: dict[str, Any] = json.loads(plain)
        return values


def load_or_create_key(home: Path, given: str | None) -> bytes:
    """Return the 32-byte key: from `given`, else from the key file in `home`, which is made when absent.

    `given` is base64 of 32 bytes, or a passphrase of at least 32 characters. The file is readable by its owner only;
    one that others can read is refused. Processes that make it at once agree on one key. Raises ConfigurationError.
    """
    if given is not None:
        return _key_of(given)
    path = home / KEY_FILE
    if not path.exists():
        _create_key_file(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigurationError(f"{path} can be read by others (mode {mode:o}); run `chmod 600 {path}`.")
    key = _decoded(path.read_text(encoding="ascii", errors="replace").strip())
    if key is None:
        raise ConfigurationError(f"{path} does not hold a key; restore it, or remove it and set all credentials again.")
    return key


def pepper_of(key: bytes) -> bytes:
    """Return the secret that digests of API keys are made with; it follows from the key and does not tell it."""
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_PEPPER_INFO).derive(key)


def _key_of(given: str) -> bytes:
    key = _decoded(given.strip())
    if key is not None:
        return key
    if len(given) < _MIN_PASSPHRASE:
        raise ConfigurationError(
            f"the secret key is too short; give base64 of {_KEY_BYTES} bytes or a passphrase of at least "
            f"{_MIN_PASSPHRASE} characters."
        )
    return HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_INFO).derive(given.encode())


def _decoded(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text.replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == _KEY_BYTES else None


def _create_key_file(path: Path) -> None:
    # Written whole under a name of our own, then linked: whoever links first decides, and nobody reads half a key.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(base64.b64encode(AESGCM.generate_key(bit_length=_KEY_BYTES * 8)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
