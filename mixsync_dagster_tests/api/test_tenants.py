"""Nobody reaches what belongs to somebody else, by any operation that the OpenAPI document names."""

import re
from dataclasses import dataclass
from itertools import count

import pytest

from mixsync_dagster.api.app import create_app
from mixsync_dagster.control.tenancy import Tenant
from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster_tests.api.serving import Client, connection_body

OPEN = {"/healthz", "/readyz"}
BODIES = {
    "SyncUpdateRequest": {"description": "taken over"},
    "StorageConnectionUpdateRequest": {"description": "taken over"},
    "BulkMarkFailedRequest": {"error_types": ["schema_mismatch"]},
}


@dataclass(frozen=True)
class Operation:
    """One operation of the document."""

    method: str
    path: str
    body: object
    query: str = ""
    """What it cannot do without."""

    @property
    def names(self):
        return re.findall(r"{(\w+)}", self.path)

    @property
    def of_bucket(self):
        return "bucket_id" in self.names

    def filled(self, values):
        return self.path.format(**values) + self.query


def document_of(services, made=[]):  # noqa: B006 - the same for every app
    if not made:
        made.append(create_app(services, open_access=False).openapi())
    return made[0]


def operations(services):
    """Every operation; what deletes comes last, the outermost at the very end."""
    document = document_of(services)
    found = []
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            content = told.get("requestBody", {}).get("content", {}).get("application/json", {})
            model = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            needed = [one["name"] for one in told.get("parameters", ()) if one["in"] == "query" and one["required"]]
            query = "?" + "&".join(f"{name}=a" for name in needed) if needed else ""
            found.append(Operation(method.upper(), path, BODIES.get(model), query))
    assert len(found) > 30
    return sorted(found, key=lambda one: (one.method == "DELETE", -len(one.path)))


def ids_of(library):
    return {
        "connection_identifier": library.connection_id,
        "bucket_id": library.bucket_id,
        "sync_config_id": library.sync_id,
        "sync_job_id": library.run_id,
        "object_id": library.object_id,
        "batch_id": library.batch_id,
        "blob_property": "content",
    }


def holes(services, caller, values, *, own=()):
    """Operations that answer the caller otherwise than by 401, 403 or 404, ids but the caller's own being foreign."""
    found, tried = [], 0
    for one in operations(services):
        if not set(one.names) <= {*own, "blob_property"}:
            tried += 1
            answer = caller(one.method, one.filled(values), one.body)
            if answer.status_code not in (401, 403, 404):
                found.append(f"{one.method} {one.path}: {answer.status_code}")
    assert tried >= 3
    return found


def beside_own(caller, source, values):
    """Yield the same ids with a bucket, and with a bucket and a sync, that are the caller's own."""
    bucket_id = bucket_of(caller)
    yield {**values, "bucket_id": bucket_id}, ("bucket_id", "connection_identifier")
    body = connection_body(source.endpoint_url, f"of-{bucket_id}")
    made = caller.done("POST", "/v1/connections", body)["connection_id"]
    sync = caller.done("POST", f"/v1/buckets/{bucket_id}/syncs", {"connection_id": made, "source_path": BUCKET})
    own = {"bucket_id": bucket_id, "sync_config_id": sync["sync_config_id"]}
    yield {**values, **own}, (*own, "connection_identifier")


@pytest.fixture
def stranger(estate):
    """A tenant of another organisation with a bucket and a sync of its own."""
    return estate.with_key("beta", organisation="bravo")


def bucket_of(ask, number=count()):  # noqa: B008 - names are given once
    return ask.done("POST", "/v1/buckets", {"bucket_name": f"theirs {next(number)}"})["bucket_id"]


@pytest.mark.parametrize("role", ["viewer", "editor", "admin"])
def test_ids_of_another_organisation_are_absent(estate, role):
    caller = estate.with_key("beta", role, organisation="bravo")
    assert holes(estate.services, caller, ids_of(estate.library)) == []


def test_ids_of_another_namespace_are_absent(estate):
    caller = estate.with_key("gamma")
    # Connections are the organisation's.
    assert holes(estate.services, caller, ids_of(estate.library), own=["connection_identifier"]) == []


def test_a_namespace_of_the_same_name_in_another_organisation_is_another_one(estate):
    assert holes(estate.services, estate.with_key("alpha", organisation="bravo"), ids_of(estate.library)) == []


def test_a_namespace_header_never_widens(estate, stranger):
    for one in operations(estate.services):
        if one.path not in OPEN:
            path = one.filled(ids_of(estate.library))
            for options in ({"headers": {"X-Namespace": "ns_alpha"}}, {"params": {"namespace": "alpha"}}):
                assert stranger(one.method, path, one.body, **options).status_code == 403, one
            assert estate.owner(one.method, path, one.body, headers={"X-Namespace": "beta"}).status_code == 403, one


def test_without_a_key_nothing_is_told(estate):
    for key in (None, "sk_0a1b2c3dnot-a-key", estate.owner.key[:-1], estate.owner.key + "x"):
        for one in operations(estate.services):
            if one.path not in OPEN:
                path = one.filled(ids_of(estate.library))
                answer = Client(estate.url, key)(one.method, path, one.body, headers={"X-Namespace": "ns_alpha"})
                assert answer.status_code == 401, one


def test_what_is_in_a_bucket_or_sync_of_ones_own_is_not_what_is_in_others(estate, stranger, source):
    for values, own in beside_own(stranger, source, ids_of(estate.library)):
        assert holes(estate.services, stranger, values, own=own) == []


def test_lists_tell_of_ones_own_only(estate, stranger):
    bucket = bucket_of(stranger)
    told = ids_of(estate.library)
    told.pop("blob_property")
    for one in operations(estate.services):
        if one.path == "/metrics" or one.path.endswith("/list"):
            answer = stranger(one.method, one.path.format(bucket_id=bucket))
            assert answer.status_code == 200, one
            assert [name for name, value in told.items() if value in answer.text] == []
            assert "alpha" not in answer.text


def test_a_connection_of_others_serves_no_sync(estate, stranger):
    path = f"/v1/buckets/{bucket_of(stranger)}/syncs"
    known, unknown = (
        stranger("POST", path, {"connection_id": one, "source_path": "demo-media"})
        for one in (estate.library.connection_id, "conn_000000000000000")
    )
    assert (known.status_code, unknown.status_code) == (404, 404)
    hidden = {"conn_000000000000000": "ID", estate.library.connection_id: "ID"}
    told = [answer.json()["error"]["message"] for answer in (known, unknown)]
    for one, shown in hidden.items():
        told = [text.replace(one, shown) for text in told]
    assert told[0] == told[1]


def test_names_of_others_are_not_found_either(estate, stranger):
    mine = stranger.done("POST", "/v1/buckets", {"bucket_name": "films"})
    assert stranger.done("GET", "/v1/buckets/films")["bucket_id"] == mine["bucket_id"]
    assert stranger("GET", "/v1/connections/media").status_code == 404
    assert stranger("GET", f"/v1/buckets/{mine['bucket_id']}/syncs/films").status_code == 404


def test_namespaces_of_an_organisation_share_its_connections(estate):
    other = estate.with_key("gamma")
    assert other.done("GET", "/v1/connections/media")["connection_id"] == estate.library.connection_id


def test_what_files_define_is_the_default_namespaces(estate):
    from mixsync_dagster_tests.control.support import applied

    applied(estate.services)
    local = estate.with_key("default", organisation="local")
    assert local.done("GET", "/v1/buckets/bkt_media/syncs/videos")["namespace_id"] == "ns_default"
    assert estate.owner("GET", "/v1/buckets/bkt_media").status_code == 404
    assert local("GET", f"/v1/buckets/{estate.library.bucket_id}").status_code == 404


def leaky(monkeypatch, what, services, library):
    """Plant a hole."""
    if what == "buckets":
        monkeypatch.setattr(Tenant, "bucket", lambda self, asked: self.store.get_bucket(asked))
    elif what == "connections":
        monkeypatch.setattr(Tenant, "connection", lambda self, asked: self.store.get_connection(asked))
    elif what == "syncs":
        monkeypatch.setattr(Tenant, "sync", lambda self, bucket, asked: self.store.get_sync(asked))
    elif what == "objects":
        monkeypatch.setattr(Tenant, "object", lambda self, bucket, asked: self.store.objects_by_id([asked])[0])
    elif what == "batches":
        monkeypatch.setattr(Tenant, "batch", lambda self, bucket, asked: self.store.get_batch(asked))
    elif what == "runs":
        monkeypatch.setattr(Tenant, "run", lambda self, sync, asked: self.store.get_run(asked))


@pytest.mark.parametrize("what", ["buckets", "connections", "syncs", "runs", "objects", "batches"])
def test_planted_holes_are_found(own_estate, source, monkeypatch, what):
    caller = own_estate.with_key("beta", organisation="bravo")
    foreign = ids_of(own_estate.library)
    beside = list(beside_own(caller, source, foreign))
    leaky(monkeypatch, what, own_estate.services, own_estate.library)
    found = [hole for values, own in beside for hole in holes(own_estate.services, caller, values, own=own)]
    assert found + holes(own_estate.services, caller, foreign) != []
