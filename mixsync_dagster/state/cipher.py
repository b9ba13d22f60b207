"""Credentials at rest: AES-256-GCM, each bound to its tenant and its owner; and the keys for it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
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
_BOUND_TO_ID = b"\x01"
"""Earlier versions bound a seal to the owner's id alone; they are read still, and never made."""
_BOUND_TO_TENANT = b"\x02"
_HEAD_BYTES = 1 + _KEY_ID_BYTES
_MIN_PASSPHRASE = 32
_INFO = b"mixsync credentials"
_PEPPER_INFO = b"mixsync api keys"


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """The key that is sealed with, and those that what was sealed before may still need; `repr` shows none."""

    current: bytes = field(repr=False)
    old: tuple[bytes, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        for key in (self.current, *self.old):
            if len(key) != _KEY_BYTES:
                raise ConfigurationError(f"the secret key has {len(key)} bytes; give one of {_KEY_BYTES}.")

    @property
    def first(self) -> bytes:
        """The oldest of the keys."""
        return self.old[-1] if self.old else self.current


@dataclass(frozen=True, slots=True)
class SecretOwner:
    """Whose a secret is: put anywhere else, it cannot be opened."""

    kind: str
    internal_id: str
    namespace_id: str
    """Empty: the organisation's."""
    identifier: str

    @property
    def bound(self) -> bytes:
        """What the seal is bound to."""
        return json.dumps([self.kind, self.internal_id, self.namespace_id, self.identifier]).encode()


class Cipher:
    """Seals mappings for one owner each, a connection or a bucket.

    The key's id is written in front, so that a wrong key is told apart from damage. `read_again` gives the keys as they
    are now: before each seal, and where a seal was made with a key that is not known, for another process may have put
    a new one in the key's place.
    """

    def __init__(self, keys: SecretKeys, *, read_again: Callable[[], SecretKeys] | None = None) -> None:
        self._keys = keys
        self._read_again = read_again

    def __repr__(self) -> str:
        return "Cipher(**)"

    @property
    def head(self) -> bytes:
        """How everything begins that is sealed as it is sealed now."""
        return _BOUND_TO_TENANT + _key_id(self._keys.current)

    def refresh(self) -> None:
        """Take the keys as they are now."""
        if self._read_again is not None:
            self._keys = self._read_again()

    def encrypt(self, values: Mapping[str, Any], *, owner: SecretOwner) -> bytes:
        """Return the values sealed with the current key; they open for the same owner only."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps(dict(values), separators=(",", ":")).encode()
        return self.head + nonce + AESGCM(self._keys.current).encrypt(nonce, plain, owner.bound)

    def decrypt(self, data: bytes, *, owner: SecretOwner) -> dict[str, Any]:
        """Return the values. Raises ConfigurationError for another key, another owner or damaged data."""
        told = f"the credentials of {owner.identifier}"
        if data[:1] not in (_BOUND_TO_ID, _BOUND_TO_TENANT) or len(data) <= _HEAD_BYTES + _NONCE_BYTES:
            raise ConfigurationError(f"{told} are damaged; set them again.")
        key = self._key(data[1:_HEAD_BYTES])
        if key is None:
            raise ConfigurationError(
                f"{told} were encrypted with another key; give that key again (as MIXSYNC_SECRET_KEY, or beside a new "
                "one as MIXSYNC_OLD_SECRET_KEYS) or set the credentials anew."
            )
        nonce, sealed = data[_HEAD_BYTES : _HEAD_BYTES + _NONCE_BYTES], data[_HEAD_BYTES + _NONCE_BYTES :]
        bound = owner.bound if data[:1] == _BOUND_TO_TENANT else owner.identifier.encode()
        try:
            plain = AESGCM(key).decrypt(nonce, sealed, bound)
        except InvalidTag as error:
            raise ConfigurationError(f"{told} are damaged or belong to another owner; set them again.") from error
        values: dict[str, Any] = json.loads(plain)
        return values

    def _key(self, key_id: bytes) -> bytes | None:
        found = self._known(key_id)
        if found is None and self._read_again is not None:
            self.refresh()
            found = self._known(key_id)
        return found

    def _known(self, key_id: bytes) -> bytes | None:
        return next((key for key in (self._keys.current, *self._keys.old) if _key_id(key) == key_id), None)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"key id:" + key).digest()[:_KEY_ID_BYTES]


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
    return _read_key_file(path)[0]


def load_keys(home: Path, given: str | None, old: Sequence[str] = ()) -> SecretKeys:
    """Return the key of `load_or_create_key` and the old ones: given ones, then those of the key file.

    A key file beside a given key holds old keys only, so that its key can be exchanged for the given one. Raises
    ConfigurationError.
    """
    current = load_or_create_key(home, given)
    path = home / KEY_FILE
    known = [*(_key_of(one) for one in old), *(_read_key_file(path) if path.exists() else ())]
    return SecretKeys(current, tuple(dict.fromkeys(key for key in known if key != current)))


def add_key(home: Path) -> None:
    """Put a new key in front of those of the key file, unless it holds old ones already: then go on with its first.

    The file is exchanged as a whole, and is on the disk when this returns. Raises ConfigurationError.
    """
    path = home / KEY_FILE
    keys = _read_key_file(path)
    if len(keys) == 1:
        _replace_key_file(path, [AESGCM.generate_key(bit_length=_KEY_BYTES * 8), *keys])


def drop_old_keys(home: Path) -> None:
    """Leave the key file with its first key alone; again does nothing. Raises ConfigurationError."""
    path = home / KEY_FILE
    keys = _read_key_file(path)
    if len(keys) > 1:
        _replace_key_file(path, keys[:1])


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


def _read_key_file(path: Path) -> list[bytes]:
    """Return the keys of a file, the current one first. Raises ConfigurationError."""
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigurationError(f"{path} can be read by others (mode {mode:o}); run `chmod 600 {path}`.")
    lines = path.read_text(encoding="ascii", errors="replace").split()
    keys = [key for key in map(_decoded, lines) if key is not None]
    if not keys or len(keys) != len(lines):
        raise ConfigurationError(f"{path} does not hold a key; restore it, or remove it and set all credentials again.")
    return keys


def _create_key_file(path: Path) -> None:
    # Written whole under a name of our own, then linked: whoever links first decides, and nobody reads half a key.
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = _written_beside(path, [AESGCM.generate_key(bit_length=_KEY_BYTES * 8)])
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _replace_key_file(path: Path, keys: Sequence[bytes]) -> None:
    _written_beside(path, keys).replace(path)
    # The new name has to outlive a power cut before anything is sealed with the new key.
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _written_beside(path: Path, keys: Sequence[bytes]) -> Path:
    draft = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(b"".join(base64.b64encode(key) + b"\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    return draft
