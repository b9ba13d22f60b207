"""What was stored before names were unique in a namespace is there afterwards, with its secrets."""

from __future__ import annotations

import json

import pytest
from alembic import command
from alembic.config import Config
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE, Namespace
from mixsync_dagster.state.database import Database
from mixsync_dagster.state.migrate import upgrade
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.contracts.state_samples import CONNECTION, CREDENTIALS, SYNC, connection, seed, sync

KEY = b"k" * 32
ACME = Namespace("int_acme", "ns_alpha")


def sealed_the_old_way(values, owner):
    """What earlier versions stored: bound to the id alone."""
    import hashlib

    nonce = b"n" * 12
    head = b"\x01" + hashlib.sha256(b"key id:" + KEY).digest()[:8]
    return head + nonce + AESGCM(KEY).encrypt(nonce, json.dumps(values).encode(), owner.encode())


def downgrade(database, revision):
    with database.write() as tx:
        config = Config()
        config.set_main_option("script_location", "mixsync_dagster.state:migrations")
        config.attributes["connection"] = tx.connection
        command.downgrade(config, revision)


@pytest.fixture
def earlier(url, clock):
    """A store of the revision before, with two tenants' buckets of one name and credentials sealed the old way."""
    store = SqlStateStore.open(url, clock=clock, key=KEY)
    seed(store)
    for bucket_id in ("bkt_1", "bkt_2", "bkt_3"):
        store.save_bucket(BucketDefinition(bucket_id=bucket_id))
    database = store._database
    downgrade(database, "0007")
    with database.write() as tx:
        tx.run("UPDATE connections SET credentials = ?", sealed_the_old_way(dict(CREDENTIALS), CONNECTION))
        definition = BucketDefinition(bucket_id="any", name="films").model_dump(mode="json")
        for bucket_id in ("bkt_1", "bkt_2", "bkt_3"):
            told = json.dumps({**definition, "bucket_id": bucket_id})
            tx.run("UPDATE buckets SET name = 'films', definition = ? WHERE bucket_id = ?", told, bucket_id)
        for bucket_id, namespace in (("bkt_1", "ns_alpha"), ("bkt_2", "ns_alpha"), ("bkt_3", "ns_beta")):
            tx.run("INSERT INTO bucket_owners VALUES (?, 'int_acme', ?)", bucket_id, namespace)
    yield database
    store.close()


def test_everything_keeps_its_owner_and_twins_get_their_ids_beside_them(earlier, url, clock):
    upgrade(earlier)
    store = SqlStateStore.open(url, clock=clock, key=KEY)
    names = {one.bucket_id: one.name for one in store.list_buckets(within=ACME)}
    assert names == {"bkt_1": "films", "bkt_2": "films (bkt_2)"}
    assert store.get_bucket("films", within=Namespace("int_acme", "ns_beta")).bucket_id == "bkt_3"
    assert [one.bucket_id for one in store.list_buckets(within=LOCAL_NAMESPACE)] == ["bkt_media"]
    assert store.get_sync("videos", within=LOCAL_NAMESPACE).sync_config_id == SYNC
    assert store.get_connection("media", within=LOCAL_NAMESPACE).connection_id == CONNECTION
    store.close()


def test_credentials_sealed_the_old_way_are_read_and_sealed_anew_by_a_write(earlier, url, clock):
    upgrade(earlier)
    store = SqlStateStore.open(url, clock=clock, key=KEY)
    assert store.credentials_of(CONNECTION) == CREDENTIALS
    assert list(store.old_seals()) == [CONNECTION]
    store.save_connection(connection(), credentials=store.credentials_of(CONNECTION))
    assert list(store.old_seals()) == []
    assert store.credentials_of(CONNECTION) == CREDENTIALS
    store.close()


def test_going_back_makes_names_unique_over_all_namespaces(url, clock):
    store = SqlStateStore.open(url, clock=clock, key=KEY)
    seed(store)
    other = connection("conn_zzz").model_copy(update={"internal_id": "int_acme"})
    store.save_connection(other, credentials=CREDENTIALS)
    store.save_bucket(BucketDefinition(bucket_id="bkt_1"), within=ACME)
    own = {"internal_id": "int_acme", "namespace_id": "ns_alpha", "bucket_id": "bkt_1", "connection_id": "conn_zzz"}
    store.create_sync(sync("sync_zzz", **own))
    downgrade(store._database, "0007")
    with store._database.read() as tx:
        assert tx.rows("SELECT name FROM syncs ORDER BY name") == [("archive",), ("videos",), ("videos-sync_zzz",)]
        assert tx.rows("SELECT name FROM connections ORDER BY name") == [("media",), ("media (conn_zzz)",)]
        assert tx.rows("SELECT * FROM bucket_owners") == [("bkt_1", "int_acme", "ns_alpha")]
    upgrade(store._database)
    assert [one.sync_config_id for one in store.list_syncs(within=ACME)] == ["sync_zzz"]
    store.close()


def test_entries_of_the_audit_cannot_be_changed(url, clock):
    database = Database.open(url, clock=clock)
    columns = "entry_id, at, internal_id, namespace_id, user_id, origin, operation, outcome"
    with database.write() as tx:
        tx.run(f"INSERT INTO audit ({columns}) VALUES ('a', 1, 'i', 'n', 'u', 'api', 'o', 'done')")
    with pytest.raises(Exception, match="audit entries do not change"), database.write() as tx:
        tx.run("UPDATE audit SET user_id = 'somebody else'")
    with database.read() as tx:
        assert tx.rows("SELECT user_id FROM audit") == [("u",)]
    database.close()
