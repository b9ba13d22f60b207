"""What tenants of the API have takes no name in Dagster, and cannot be reached there by its name."""

import pytest

from mixsync_dagster.control.owners import Owner
from mixsync_dagster.control.syncs import create_sync
from mixsync_dagster.errors import ConfigurationError, NotFound
from mixsync_dagster.model.buckets import BucketDefinition
from mixsync_dagster.model.syncs import SyncCreateRequest
from mixsync_dagster.model.validation import parse
from mixsync_dagster.orchestration.location import _named_syncs
from mixsync_dagster.orchestration.resources import S3ConnectionResource
from mixsync_dagster.testing.contracts.state_samples import CREDENTIALS, connection


def made_by(services, owner, name):
    """Store a connection, a bucket and a sync of an owner, all called so."""
    store = services.store
    identifier = f"conn_{owner.internal_id}_{owner.namespace_id}"
    one = connection(identifier, f"{name} {owner.namespace_id}").model_copy(update={"internal_id": owner.internal_id})
    store.save_connection(one, credentials=CREDENTIALS)
    bucket = f"bkt_{owner.internal_id}_{owner.namespace_id}"
    store.save_bucket(BucketDefinition(bucket_id=bucket, name=name), within=owner.namespace)
    request = parse(SyncCreateRequest, {"connection_id": identifier, "source_path": "media/x", "name": name})
    return create_sync(store, request, bucket=bucket, now=services.clock.now(), owner=owner).sync_config_id


def test_only_the_operators_organisation_gets_definitions_its_default_namespace_first(make_home):
    home = make_home()
    services = home.mixsync.services
    made_by(services, Owner("int_acme", "ns_default", "usr_a"), "stranger")
    neighbour = made_by(services, Owner("int_local", "ns_media", "usr_b"), "videos")
    own = home.add("videos")
    assert [one.sync_config_id for one in _named_syncs(home.settings)] == [own, neighbour]


def test_a_name_of_a_tenant_is_not_found_and_its_connections_are_not_told(make_home):
    home = make_home()
    made_by(home.mixsync.services, Owner("int_acme", "ns_alpha", "usr_a"), "stranger")
    with pytest.raises(NotFound):
        home.mixsync.store.get_sync("stranger")
    with pytest.raises(ConfigurationError, match=r"there are 0 connections of provider s3 \(none\)"):
        S3ConnectionResource(mixsync=home.mixsync, provider="s3").stored()
