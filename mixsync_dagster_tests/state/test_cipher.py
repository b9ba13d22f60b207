"""Credentials at rest, and the key that they are encrypted with."""

from __future__ import annotations

import base64
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.state.cipher import Cipher, SecretKeys, SecretOwner, load_or_create_key
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.contracts.state_samples import CONNECTION, CREDENTIALS, connection, seed

KEY = b"k" * 32
OWNER = SecretOwner("connection", "int_a", "", "o")
SECRET = CREDENTIALS["secret_access_key"].encode()


def test_no_secret_is_in_the_database_in_plain_text(store, tmp_path):
    seed(store)
    hosted = {"bucket_id": "b", "destination": "mixpeek", "mixpeek": {"namespace": "n", "api_key": "sk_plain_secret"}}
    store.save_bucket(BucketDefinition.model_validate(hosted))
    with store._database.read() as tx:
        rows = repr([tx.rows("SELECT * FROM connections"), tx.rows("SELECT * FROM buckets")]).encode()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert store.credentials_of(CONNECTION) == CREDENTIALS
    for content in (rows, *files):
        assert SECRET not in content
        assert b"sk_plain_secret" not in content


def test_a_ciphertext_moved_to_another_connection_fails(store):
    seed(store)
    store.save_connection(connection("conn_thief", "thief"), credentials={"type": "access_key"})
    with store._database.write() as tx:
        moved = "(SELECT credentials FROM connections WHERE connection_id = ?)"
        tx.run(f"UPDATE connections SET credentials = {moved} WHERE connection_id = ?", CONNECTION, "conn_thief")
    with pytest.raises(ConfigurationError, match="belong to another owner"):
        store.credentials_of("conn_thief")


def test_a_connection_moved_to_another_organisation_loses_its_credentials(store):
    seed(store)
    with store._database.write() as tx:
        tx.run("UPDATE connections SET internal_id = 'int_thief' WHERE connection_id = ?", CONNECTION)
    with pytest.raises(ConfigurationError, match="belong to another owner"):
        store.credentials_of(CONNECTION)


@pytest.mark.parametrize("part", ["kind", "internal_id", "namespace_id", "identifier"])
def test_a_seal_opens_for_the_very_same_owner_only(part):
    cipher = Cipher(SecretKeys(KEY))
    sealed = cipher.encrypt({"a": 1}, owner=OWNER)
    assert cipher.decrypt(sealed, owner=OWNER) == {"a": 1}
    with pytest.raises(ConfigurationError, match="belong to another owner"):
        cipher.decrypt(sealed, owner=replace(OWNER, **{part: "other"}))


def test_no_two_owners_are_bound_alike():
    assert SecretOwner("a", "b", "c", "d").bound != SecretOwner("a", 'b", "c', "", "d").bound


def test_another_key_is_told_apart(store, url, clock):
    seed(store)
    other = SqlStateStore.open(url, clock=clock, key=b"x" * 32)
    with pytest.raises(ConfigurationError, match="encrypted with another key"):
        other.credentials_of(CONNECTION)
    other.close()


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("damage", [flipped, lambda _: b"", lambda _: b"\x02abc", lambda data: b"\x03" + data[1:]])
def test_damaged_data_is_told_apart(damage):
    cipher = Cipher(SecretKeys(KEY))
    with pytest.raises(ConfigurationError, match="damaged"):
        cipher.decrypt(damage(cipher.encrypt({"a": 1}, owner=OWNER)), owner=OWNER)


def test_equal_values_are_encrypted_differently():
    cipher = Cipher(SecretKeys(KEY))
    assert cipher.encrypt({"a": 1}, owner=OWNER) != cipher.encrypt({"a": 1}, owner=OWNER)


def test_the_key_is_not_shown():
    assert "k" * 8 not in repr(Cipher(SecretKeys(KEY)))


def test_a_key_file_is_made_once_for_its_owner_only(tmp_path: Path):
    key = load_or_create_key(tmp_path / "home", None)
    assert len(key) == 32
    assert load_or_create_key(tmp_path / "home", None) == key
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "home").iterdir()}
    assert modes == {"secret.key": 0o600}


def test_threads_that_make_the_key_at_once_agree(tmp_path: Path):
    start = threading.Barrier(8)

    def make(_: int) -> bytes:
        start.wait()
        return load_or_create_key(tmp_path, None)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(make, range(8)))) == 1


def test_a_key_file_that_others_can_read_is_refused(tmp_path: Path):
    load_or_create_key(tmp_path, None)
    (tmp_path / "secret.key").chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"can be read by others \(mode 644\); run `chmod 600"):
        load_or_create_key(tmp_path, None)


def test_a_key_file_without_a_key_is_refused(tmp_path: Path):
    (tmp_path / "secret.key").write_text("nonsense")
    (tmp_path / "secret.key").chmod(0o600)
    with pytest.raises(ConfigurationError, match="does not hold a key"):
        load_or_create_key(tmp_path, None)


def test_a_given_key_is_base64_or_a_long_passphrase(tmp_path: Path):
    assert load_or_create_key(tmp_path, base64.b64encode(KEY).decode()) == KEY
    assert load_or_create_key(tmp_path, base64.urlsafe_b64encode(b"\xff" * 32).decode()) == b"\xff" * 32
    derived = load_or_create_key(tmp_path, "correct horse battery staple and more")
    assert derived.hex() == "4c92edb2e69fe887fd271f86691ee0d2b92bdee22978619854de4a5db3e546a4"
    assert not list(tmp_path.iterdir())
    with pytest.raises(ConfigurationError, match="too short"):
        load_or_create_key(tmp_path, "hunter2")
