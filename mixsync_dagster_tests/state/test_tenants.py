"""API keys and whose buckets are whose, on both databases."""

from datetime import timedelta

import pytest

from mixsync_dagster.control.owners import LOCAL_OWNER
from mixsync_dagster.control.tenancy import Tenant
from mixsync_dagster.errors import Conflict, NotFound
from mixsync_dagster.model.api_keys import ApiKey, Role
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.ports.tenants import BucketOwner
from mixsync_dagster.testing.contracts.state_samples import seed

OWNER = BucketOwner("int_acme", "ns_alpha")


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


def test_a_bucket_has_one_owner(store):
    assert store.bucket_owner("bkt_x") is None
    store.own_bucket("bkt_x", OWNER)
    with pytest.raises(Conflict):
        store.own_bucket("bkt_x", BucketOwner("int_bravo", "ns_beta"))
    assert store.bucket_owner("bkt_x") == OWNER
    assert store.bucket_owners() == {"bkt_x": OWNER}


def test_an_empty_bucket_is_deleted_with_its_owner(store):
    store.own_bucket("bkt_x", OWNER)
    store.save_bucket(BucketDefinition(bucket_id="bkt_x"))
    store.delete_empty_bucket("bkt_x")
    assert store.bucket_owner("bkt_x") is None
    with pytest.raises(NotFound):
        store.delete_empty_bucket("bkt_x")


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
