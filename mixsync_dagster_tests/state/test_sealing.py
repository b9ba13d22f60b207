"""Exchanging the secret key, on both databases."""

import pytest

from mixsync_dagster.control.rotating import rotate
from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.tenants import Namespace
from mixsync_dagster.state.cipher import SecretKeys
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.contracts.state_samples import CONNECTION, CREDENTIALS, connection, seed

OLD, NEW = b"k" * 32, b"n" * 32
HOSTED = {"bucket_id": "b", "destination": "mixpeek", "mixpeek": {"namespace": "n", "api_key": "sk_hosted"}}


@pytest.fixture
def keys():
    """The keys as they are now, which a test exchanges."""
    return [SecretKeys(OLD)]


@pytest.fixture
def running(url, clock, keys):
    """A store that reads the keys anew, as a process does while they are exchanged."""
    opened = SqlStateStore.open(url, clock=clock, key=lambda: keys[0])
    yield opened
    opened.close()


def test_everything_is_sealed_anew_and_only_then_the_old_key_is_forgotten(running, store, keys):
    seed(running)
    running.save_bucket(BucketDefinition.model_validate(HOSTED), within=Namespace("int_acme", "ns_a"))
    running.keep_pepper(b"pepper")
    running.keep_pepper(b"another")
    forgotten = []
    keys[0] = SecretKeys(NEW, (OLD,))
    assert running.forget_old_keys(lambda: forgotten.append(1)) is False
    done = rotate(running, forget_old_keys=lambda: forgotten.append(2))
    assert (done.resealed, done.finished, forgotten) == (3, True, [2])
    keys[0] = SecretKeys(NEW)
    assert running.credentials_of(CONNECTION) == CREDENTIALS
    assert running.get_bucket("b").mixpeek.api_key.get_secret_value() == "sk_hosted"
    assert running.pepper() == b"pepper"
    # Whoever has the old key alone reads nothing any more.
    with pytest.raises(ConfigurationError, match="another key"):
        store.credentials_of(CONNECTION)


def test_a_seal_is_made_with_the_key_as_it_is_when_it_is_stored(running, keys):
    seed(running)
    keys[0] = SecretKeys(NEW, (OLD,))
    running.save_connection(connection(), credentials=CREDENTIALS)
    assert list(running.old_seals()) == []
    assert running.reseal(CONNECTION) is False


def test_without_a_secret_for_api_keys_one_sentence_says_what_to_do(running):
    with pytest.raises(ConfigurationError, match="run `mixsync init`"):
        running.pepper()
