"""Keys: shown once, told apart by every byte, worthless once revoked."""

import pytest

from mixsync_dagster.control.keys import KeyRing
from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.api_keys import Role


@pytest.fixture
def ring(services):
    return services.open_keys()


def test_a_key_opens_its_namespace_in_its_role(ring):
    key, token = ring.create(namespace="media", organisation="acme", role=Role.ADMIN, description="of ana")
    assert (key.internal_id, key.namespace_id, key.role) == ("int_acme", "ns_media", Role.ADMIN)
    assert ring.authenticate(token.encode()) == key
    assert token.startswith(key.prefix)
    assert len(token) == 54


def test_keys_differ(ring):
    tokens = {ring.create(namespace="media")[1] for _ in range(20)}
    assert len(tokens) == len({token[11:] for token in tokens}) == 20


@pytest.mark.parametrize("place", [0, 2, 3, 10, 11, 30, 53])
def test_every_character_counts(ring, place):
    token = ring.create(namespace="media")[1]
    other = "x" if token[place] != "x" else "y"
    assert ring.authenticate((token[:place] + other + token[place + 1 :]).encode()) is None


@pytest.mark.parametrize(
    "token", [b"", b"sk_", b"\xff" * 54, b"\x00" * 54, b"sk_00000000" + b"a" * 43, b"a" * 100_000, "sk_é".encode()]
)
def test_what_is_no_key_is_told_so(ring, token):
    ring.create(namespace="media")
    assert ring.authenticate(token) is None


def test_a_key_and_more_is_no_key(ring):
    token = ring.create(namespace="media")[1].encode()
    assert ring.authenticate(token[:-1]) is None
    assert ring.authenticate(token + b"a") is None
    assert ring.authenticate(token[:-1] + b"\xff") is None


def test_revoking_counts_at_once_and_for_one_key_only(ring):
    (first, token), (_, other) = ring.create(namespace="media"), ring.create(namespace="media")
    assert ring.revoke(first.prefix).revoked_at is not None
    assert ring.authenticate(token.encode()) is None
    assert ring.authenticate(other.encode()) is not None
    assert ring.any()


def test_the_store_holds_neither_the_key_nor_a_digest_without_the_pepper(services, ring, clock):
    key, token = ring.create(namespace="media")
    other = KeyRing(services.store, pepper=b"p" * 32, clock=clock)
    assert other.authenticate(token.encode()) is None
    stored = b"".join(path.read_bytes() for path in services.settings.home.iterdir() if path.name.startswith("state"))
    assert key.prefix.encode() in stored
    assert token[11:].encode() not in stored


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 64, "é", "-a"])
def test_names_are_bounded(ring, name):
    with pytest.raises(InvalidInput, match="--namespace"):
        ring.create(namespace=name)


def test_roles_include_the_ones_before_them():
    assert [[one.covers(other) for other in Role] for one in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]
