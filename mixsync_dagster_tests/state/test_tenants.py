"""API keys, and whose things are whose, on both databases."""

from datetime import timedelta

import pytest

from mixsync_dagster.control.owners import LOCAL_OWNER
from mixsync_dagster.control.tenancy import Tenant
from mixsync_dagster.errors import Conflict, NotFound
from mixsync_dagster.model.api_keys import ApiKey, Role
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE, Namespace
from mixsync_dagster.testing.contracts.state_samples import CONNECTION, SYNC, connection, seed, sync

ALPHA, BETA = Namespace("int_acme", "ns_alpha"), Namespace("int_acme", "ns_beta")
GAMMA = Namespace("int_bravo", "ns_alpha")


def key(clock, prefix="sk_00000001", **more):
    values = {
        "internal_id": "int_acme",
        "namespace_id": "ns_alpha",
        "user_id": "usr_a",
        "role": Role.EDITOR,
        "description": None,
        "created_at": clock.now(),
    }
    return ApiKey(prefix=prefix, **{**values, **more})


def test_a_key_is_found_by_its_prefix_with_its_digest(store, clock):
    assert store.has_keys() is False
    made = key(clock, description="for tests")
    store.add_key(made, b"\x00digest\xff")
    assert store.find_key("sk_00000001") == (made, b"\x00digest\xff")
    assert store.find_key("sk_0000000") is None
    assert store.find_key("sk_\x00") is None
    assert store.has_keys() is True


def test_a_prefix_is_taken_once(store, clock):
    store.add_key(key(clock), b"a")
    with pytest.raises(Conflict):
        store.add_key(key(clock, user_id="usr_b"), b"b")
    assert store.find_key("sk_00000001")[1] == b"a"


def test_a_revoked_key_stays_known_and_keeps_its_first_time(store, clock):
    store.add_key(key(clock), b"a")
    revoked = store.revoke_key("sk_00000001", now=clock.now())
    clock.advance(60)
    assert store.revoke_key("sk_00000001", now=clock.now()) == revoked
    assert revoked.revoked_at == clock.now() - timedelta(seconds=60)
    assert store.has_keys() is True
    with pytest.raises(NotFound, match="there is no key sk_x"):
        store.revoke_key("sk_x", now=clock.now())


def test_keys_are_listed_oldest_first(store, clock):
    for prefix in ("sk_b", "sk_a"):
        store.add_key(key(clock, prefix), b"x")
        clock.advance(1)
    assert [one.prefix for one in store.list_keys()] == ["sk_b", "sk_a"]


def named(bucket_id, name=None):
    return BucketDefinition(bucket_id=bucket_id, name=name)


def test_a_bucket_stays_its_owners(store):
    store.save_bucket(named("bkt_x"), within=ALPHA)
    with pytest.raises(Conflict, match="bucket_id: the id bkt_x is taken"):
        store.save_bucket(named("bkt_x"), within=BETA)
    with pytest.raises(Conflict):
        store.save_bucket(named("bkt_x"))
    store.save_bucket(named("bkt_x", "films"), within=ALPHA)
    assert store.get_bucket("bkt_x", within=ALPHA).name == "films"


def test_ids_and_names_of_others_are_absent(store):
    store.save_bucket(named("bkt_x", "films"), within=ALPHA)
    for within in (BETA, GAMMA, LOCAL_NAMESPACE):
        for asked in ("bkt_x", "films"):
            with pytest.raises(NotFound):
                store.get_bucket(asked, within=within)
        assert list(store.list_buckets(within=within)) == []
    with pytest.raises(NotFound):
        store.get_bucket("films")
    assert store.get_bucket("bkt_x").name == "films"
    assert [one.bucket_id for one in store.list_buckets()] == ["bkt_x"]


def test_names_are_unique_in_their_namespace_only(store):
    for number, (within, bucket) in enumerate([(ALPHA, "b1"), (BETA, "b2"), (GAMMA, "b3"), (LOCAL_NAMESPACE, "b4")]):
        store.save_bucket(named(bucket, "films"), within=within)
        if within is not BETA:
            # Connections are the organisation's: alpha and beta are of one.
            one = connection(f"conn_{number}").model_copy(update={"internal_id": within.internal_id})
            store.save_connection(one, credentials={"type": "access_key", "access_key_id": str(number)})
        again = connection(f"conn_{number}a").model_copy(update={"internal_id": within.internal_id})
        with pytest.raises(Conflict, match="name: a connection named media exists"):
            store.save_connection(again, credentials=None)
        owner = {"internal_id": within.internal_id, "namespace_id": within.namespace_id}
        connection_id = store.get_connection("media", within=within).connection_id
        store.create_sync(sync(f"sync_{number}", bucket_id=bucket, connection_id=connection_id, **owner))
        with pytest.raises(Conflict, match="name: a sync named videos exists"):
            store.create_sync(sync(f"sync_{number}a", bucket_id=bucket, connection_id=connection_id, **owner))
        with pytest.raises(Conflict, match="name: a bucket named films exists"):
            store.save_bucket(named(f"{bucket}a", "films"), within=within)
        assert store.get_bucket("films", within=within).bucket_id == bucket
        assert store.get_sync("videos", within=within).sync_config_id == f"sync_{number}"
        assert [one.sync_config_id for one in store.list_syncs(within=within)] == [f"sync_{number}"]
    assert store.get_connection("media", within=ALPHA) == store.get_connection("media", within=BETA)
    assert store.credentials_of("conn_2")["access_key_id"] == "2"
    # Without a namespace, a name is the local one's.
    assert store.get_bucket("films").bucket_id == "b4"
    assert store.get_sync("videos").sync_config_id == "sync_3"
    assert store.get_connection("media").connection_id == "conn_3"
    assert len(store.list_connections()) == 3
    assert [one.connection_id for one in store.list_connections(within=GAMMA)] == ["conn_2"]


def test_a_sync_of_others_is_absent_by_its_id_too(store):
    seed(store)
    for within in (ALPHA, Namespace(LOCAL_NAMESPACE.internal_id, "ns_alpha"), Namespace("int_acme", "ns_default")):
        for asked in (SYNC, "videos"):
            with pytest.raises(NotFound):
                store.get_sync(asked, within=within)
    with pytest.raises(NotFound):
        store.get_connection(CONNECTION, within=ALPHA)


def test_a_connection_that_is_used_does_not_tell_by_what(store):
    seed(store)
    with pytest.raises(Conflict, match="is used by 2 syncs; delete what uses it first"):
        store.delete_connection(CONNECTION)


def test_an_empty_bucket_is_deleted(store):
    store.save_bucket(named("bkt_x"), within=ALPHA)
    store.delete_empty_bucket("bkt_x")
    with pytest.raises(NotFound):
        store.delete_empty_bucket("bkt_x")
    store.save_bucket(named("bkt_x"), within=BETA)


def test_a_bucket_with_syncs_is_not_deleted(store):
    seed(store)
    used = store.list_syncs()[0].bucket_id
    with pytest.raises(Conflict, match="has syncs"):
        store.delete_empty_bucket(used)
    assert store.get_bucket(used).bucket_id == used


def test_odd_ids_are_absent(store):
    tenant = Tenant(store, LOCAL_OWNER)
    store.save_bucket(BucketDefinition(bucket_id="bkt_x"))
    bucket = tenant.bucket("bkt_x")
    for odd in ("\x00", "a\x00b", "\x01", "\ufffd", "'; --", "x" * 5000):
        for look in (tenant.bucket, tenant.connection):
            with pytest.raises(NotFound):
                look(odd)
        for inside in (tenant.sync, tenant.object, tenant.batch):
            with pytest.raises(NotFound):
                inside(bucket, odd)
