"""Files and commands live in the local namespace: what tenants of the API have is neither told nor touched."""

import pytest

from mixsync_dagster.control.export import export_definitions
from mixsync_dagster.control.owners import Owner
from mixsync_dagster.control.references import find_bucket, find_connection, find_sync
from mixsync_dagster.control.syncs import create_sync
from mixsync_dagster.control.yaml_files import load_text
from mixsync_dagster.errors import Conflict, NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.syncs import SyncCreateRequest
from mixsync_dagster.model.tenants import LOCAL_NAMESPACE
from mixsync_dagster.model.validation import parse
from mixsync_dagster.testing.contracts.state_samples import CREDENTIALS, connection
from mixsync_dagster_tests.control.support import MEDIA, applied, changes

ACME = Owner("int_acme", "ns_alpha", "usr_ana")


@pytest.fixture
def store(services):
    """A tenant has a connection, a bucket and a sync with the names that the files use."""
    store = services.store
    one = connection("conn_acme", "media-s3").model_copy(update={"internal_id": ACME.internal_id})
    store.save_connection(one, credentials=CREDENTIALS)
    store.save_bucket(BucketDefinition(bucket_id="bkt_acme", name="Media library"), within=ACME.namespace)
    request = parse(SyncCreateRequest, {"connection_id": "conn_acme", "source_path": "media/b", "name": "videos"})
    create_sync(store, request, bucket="bkt_acme", now=services.clock.now(), owner=ACME)
    return store


def tenants(store):
    return [one.sync_config_id for one in store.list_syncs(within=ACME.namespace)]


def test_names_of_tenants_are_free_for_files(services, store):
    before = tenants(store)
    assert set(changes(applied(services)).values()) == {"created"}
    assert set(changes(applied(services)).values()) == {"unchanged"}
    assert tenants(store) == before
    assert find_sync(store, "videos").namespace_id == LOCAL_NAMESPACE.namespace_id


def test_pruning_leaves_tenants_alone(services, store):
    applied(services)
    done = applied(services, "buckets:\n  bkt_media: {}\n", prune=True)
    removed = [name for name, change in changes(done).items() if change == "removed"]
    assert removed == ["sync videos", "connection media-s3"]
    assert len(tenants(store)) == 1
    assert store.get_connection("conn_acme").is_active


def test_an_export_holds_what_files_could_define(services, store):
    assert export_definitions(store) == {"connections": {}, "buckets": {}, "syncs": {}}
    applied(services)
    told = export_definitions(store)
    assert [list(section) for section in told.values()] == [["media-s3"], ["bkt_media"], ["videos"]]
    assert load_text(MEDIA, file="a.yaml").syncs.keys() == told["syncs"].keys()


def test_a_bucket_id_of_a_tenant_is_taken(services, store):
    with pytest.raises(Conflict, match="bucket_id: the id bkt_acme is taken; choose another one"):
        applied(services, MEDIA.replace("bkt_media", "bkt_acme"))
    assert store.get_bucket("Media library", within=ACME.namespace).bucket_id == "bkt_acme"


@pytest.mark.parametrize(("find", "name"), [(find_sync, "videos"), (find_connection, "media-s3")])
def test_names_of_tenants_are_neither_found_nor_suggested(store, find, name):
    with pytest.raises(NotFound, match=r"`mixsync .*` shows what there is"):
        find(store, name)
    with pytest.raises(NotFound, match=r"`mixsync .*` shows what there is"):
        find(store, name + "x")
    with pytest.raises(NotFound, match=r"`mixsync .*` shows what there is"):
        find_bucket(store, "Media librar")


def test_whoever_operates_reaches_everything_by_its_id(store):
    [sync_id] = tenants(store)
    assert find_sync(store, sync_id).name == "videos"
    assert find_bucket(store, "bkt_acme").name == "Media library"
    assert find_connection(store, "conn_acme").name == "media-s3"
