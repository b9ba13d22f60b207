"""A program for an environment that holds the vendor's client and nothing of ours: what its user does, from end to end.

Reads a JSON object (url, key, namespace, endpoint_url, access_key, secret_key, source_path) from its input, and writes
one with what the client's own models hold. It runs with every version of the client; what the API of the older one does
not have is asked for through the same client's own transport.
"""

import json
import sys
import time

import mixpeek

WAIT_SECONDS = 150
MAPPING = {
    "mappings": {
        "content": {"target_type": "blob", "source": {"type": "file"}},
        "owner": {"target_type": "field", "source": {"type": "metadata", "key": "owner"}, "required": True},
    }
}
SCHEMA = {"properties": {"content": {"type": "text"}, "owner": {"type": "string"}}}


class Session:
    """One client, as its version is configured."""

    def __init__(self, given):
        self.given = given
        self.newer = hasattr(mixpeek.BucketSyncsApi, "get_sync_metrics_buckets_id_config")
        self.client = self._client(given["key"])
        self.connections = mixpeek.OrganizationConnectionsApi(self.client)
        self.syncs = mixpeek.BucketSyncsApi(self.client)
        self.buckets = mixpeek.BucketsApi(self.client)

    def _client(self, key):
        if self.newer:
            names = {"NamespaceHeader": self.given["namespace"]}
            return mixpeek.ApiClient(mixpeek.Configuration(host=self.given["url"], access_token=key, api_key=names))
        client = mixpeek.ApiClient(mixpeek.Configuration(host=self.given["url"]))
        client.set_default_header("Authorization", f"Bearer {key}")
        client.set_default_header("X-Namespace", self.given["namespace"])
        return client

    def connection_request(self, name, **more):
        return mixpeek.StorageConnectionCreateRequest(
            name=name,
            provider_type="s3",
            provider_config={
                "credentials": {
                    "type": "access_key",
                    "access_key_id": self.given["access_key"],
                    "secret_access_key": self.given["secret_key"],
                },
                "region": "us-east-1",
                "endpoint_url": self.given["endpoint_url"],
                "use_ssl": False,
            },
            **more,
        )

    def raw(self, method, path, body=None):
        """Ask through the client's transport for what its version has no method for."""
        header = {} if body is None else {"Content-Type": "application/json"}
        asked = self.client.param_serialize(method, path, header_params=header, body=body)
        answer = self.client.call_api(*asked)
        answer.read()
        assert answer.status == 200, answer.data
        return json.loads(answer.data)


def connections(session):
    api, name = session.connections, f"media-{mixpeek.__version__}"
    made = api.create_storage_connection_organizations(session.connection_request(name, description="films"))
    found = api.get_storage_connection_organizations(name)
    tested = api.test_storage_connection_organizations(made.connection_id)
    listed = api.list_storage_connections_organizations(include_total=True)
    changed = api.update_storage_connection_organizations(
        made.connection_id, mixpeek.StorageConnectionUpdateRequest(description="films and more")
    )
    told = {
        "id_form": made.connection_id.startswith("conn_"),
        "credentials": made.provider_config.actual_instance["credentials"],
        "status": plain(made.status),
        "same": found.connection_id == made.connection_id,
        "tested": tested.success,
        "listed": [listed.total, listed.pagination.total, [one.name for one in listed.results] == [name]],
        "description": changed.description,
    }
    return made.connection_id, told


def make_sync(session, connection_id):
    # The schema's properties are unions in the newer client: parsed from JSON, as the vendor's own examples are.
    schema = {"bucket_name": f"films-{mixpeek.__version__}", "bucket_schema": SCHEMA}
    bucket = session.buckets.create_bucket(mixpeek.BucketCreateRequest.from_dict(schema))
    request = {
        "connection_id": connection_id,
        "source_path": session.given["source_path"],
        "file_filters": {"extensions": [".txt"], "exclude_patterns": ["*.tmp"]},
        "schema_mapping": MAPPING,
        "polling_interval_seconds": 30,
        "metadata": {"team": "films"},
    }
    made = session.syncs.create_sync_configuration_buckets(
        bucket.bucket_id, mixpeek.SyncCreateRequest.from_dict(request)
    )
    return bucket.bucket_id, made


def manage(session, bucket_id, made):
    """Everything that is done to a sync short of running it."""
    one = (bucket_id, made.sync_config_id)
    listed = session.syncs.list_sync_configurations_buckets(bucket_id, include_total=True)
    change = mixpeek.SyncUpdateRequest.from_dict({"batch_size": 20, "metadata": {"team": "b"}})
    changed = session.syncs.update_sync_configuration_buckets_id_config(*one, change)
    paused = session.syncs.pause_sync_configuration_buckets_id_config(*one)
    refused = refusal(session.syncs.trigger_sync_configuration_buckets_id_config, *one)
    resumed = session.syncs.resume_sync_configuration_buckets_id_config(*one)
    return {
        "mode": plain(made.sync_mode),
        "interval": made.polling_interval_seconds,
        "target": made.schema_mapping.mappings["owner"].actual_instance.target_type,
        "excluded": made.file_filters.exclude_patterns,
        "listed": [listed.total, listed.results[0].sync_config_id == made.sync_config_id],
        "changed": [changed.batch_size, changed.metadata],
        "paused": [plain(paused.status), paused.paused, paused.is_active],
        "refused": refused,
        "resumed": [resumed.paused, resumed.is_active],
    }


def run(session, one):
    """Trigger the sync and wait for the job to complete; return it as JSON values."""
    answer = session.syncs.trigger_sync_configuration_buckets_id_config(*one)
    job_id, begun = answer["sync_job_id"], time.monotonic()
    while time.monotonic() < begun + WAIT_SECONDS:
        job = get_job(session, one, job_id)
        if job["status"] != "running":
            return job
        time.sleep(0.25)
    raise SystemExit(f"job {job_id} did not end within {WAIT_SECONDS} seconds")


def get_job(session, one, job_id):
    if not session.newer:
        return session.raw("GET", "/v1/buckets/{}/syncs/{}/jobs/{}".format(*one, job_id))
    return as_json(session.syncs.get_sync_job_buckets_id_config(*one, job_id))


def dead_letters(session, one):
    """Run until the failing item is out of retries, let it be tried again, and give it up in the end."""
    runs = 1
    while not (exhausted := letters(session, one, {"only_max_retries": True}))["total"]:
        runs += 1
        assert runs < 8, letters(session, one, {})
        run(session, one)
    requeued = ask_letters(session, one, "requeue", {"error_types": ["schema_mismatch"]})
    waiting = letters(session, one, {})
    given_up = ask_letters(session, one, "bulk-mark-failed", {"error_types": ["schema_mismatch"]})
    (letter,) = exhausted["results"]
    return {
        "letter": [letter[key] for key in ("error_type", "retry_count", "max_retries_reached")],
        "path": letter["source_path"],
        "requeued": requeued,
        "waiting": [[one["retry_count"], one["max_retries_reached"]] for one in waiting["results"]],
        "given_up": given_up,
        "left": letters(session, one, {})["total"],
    }


def letters(session, one, body):
    if not session.newer:
        return session.raw("POST", "/v1/buckets/{}/syncs/{}/dlq".format(*one), body)
    request = mixpeek.ListDLQRequest.from_dict(body)
    return as_json(session.syncs.list_dlq_entries_buckets_id_syncs_config(*one, request))


def ask_letters(session, one, verb, body):
    if not session.newer:
        return session.raw("POST", "/v1/buckets/{}/syncs/{}/dlq/{}".format(*one, verb), body)
    api = session.syncs
    if verb == "requeue":
        asked = mixpeek.BulkRequeueDLQRequest.from_dict(body)
        return as_json(api.requeue_dlq_entries_buckets_id_syncs_config(*one, asked))
    asked = mixpeek.BulkMarkDLQRequest.from_dict(body)
    return as_json(api.bulk_mark_dlq_permanently_failed_buckets_id_syncs_config(*one, asked))


def numbers(session, one):
    path = "/v1/buckets/{}/syncs/{}".format(*one)
    if session.newer:
        told = as_json(session.syncs.get_sync_metrics_buckets_id_config(*one))
        jobs = as_json(session.syncs.list_sync_jobs_buckets_id_config(*one, limit=1000, include_total=True))
    else:
        told = session.raw("GET", f"{path}/metrics")
        jobs = session.raw("POST", f"{path}/jobs?limit=1000&include_total=true")
    wanted = ("total_files_synced", "dlq_by_error", "healthy", "is_stale")
    own = session.syncs.get_sync_configuration_buckets_id_config(*one)
    return {
        **{name: told[name] for name in wanted},
        "counted": told["sync_run_counter"] == jobs["total"] == jobs["pagination"]["total"] == own.sync_run_counter,
        "states": sorted({job["status"] for job in jobs["results"]}),
        "synced": own.total_files_synced,
    }


def contents(session, bucket_id):
    """What the runs put into the bucket."""
    objects, batches = mixpeek.BucketObjectsApi(session.client), mixpeek.BucketBatchesApi(session.client)
    listed = objects.list_objects_buckets(bucket_id, include_total=True)
    first = objects.get_object_buckets(bucket_id, listed.results[0].object_id)
    made = batches.list_batches_buckets(bucket_id).results
    batch = batches.get_batch_buckets_batches(bucket_id, made[0].batch_id)
    task = batches.submit_batch_buckets_batches(bucket_id, batch.batch_id)
    owners = [
        json.loads(objects.get_object_buckets_without_preload_content(bucket_id, one.object_id).read())["owner"]
        for one in listed.results
    ]
    return {
        "objects": listed.pagination.total,
        "owners": sorted(owners),
        "blob": [first.blobs[0].var_property, plain(first.blobs[0].type)],
        "bytes": sorted(one.blobs[0].details.size_bytes for one in listed.results),
        "batch": [plain(batch.status), len(made), len(batch.object_ids)],
        "task": plain(task.status),
        "bucket": session.buckets.get_bucket(bucket_id).object_count,
        "buckets": len(session.buckets.list_buckets().results),
    }


def analytics(session, one):
    """What is told of the runs so far, of which the first one found three items."""
    api = mixpeek.AnalyticsBucketsApi(session.client)
    runs = api.get_sync_performance_analytics_buckets(one[0]).runs
    (config,) = api.get_sync_comparison_analytics_buckets(one[0]).configs
    health = api.get_bucket_health_analytics(one[0])
    return {
        "run": [runs[-1].files_discovered, runs[-1].files_synced, runs[-1].provider_type],
        "sync": [config.sync_config_id == one[1], config.total_files_synced],
        "errors": [told.error_type for told in health.error_breakdown],
        "stuck": health.stuck_syncs,
    }


def refusals(session, connection_id, bucket_id):
    """How the client tells its user what is not accepted."""
    bad = {"connection_id": connection_id, "source_path": f"{session.given['source_path']}/nothing-here"}
    stranger = mixpeek.OrganizationConnectionsApi(session._client("sk_of_nobody"))
    return {
        "unknown sync": refusal(session.syncs.get_sync_configuration_buckets_id_config, bucket_id, "sync_none"),
        "bad path": refusal(
            session.syncs.create_sync_configuration_buckets, bucket_id, mixpeek.SyncCreateRequest.from_dict(bad)
        ),
        "name taken": refusal(
            session.connections.create_storage_connection_organizations,
            session.connection_request(f"media-{mixpeek.__version__}"),
        ),
        "wrong key": refusal(stranger.list_storage_connections_organizations),
    }


def refusal(ask, *arguments):
    """Return the client's own exception that a call ends in, its status, its type, and if a model holds its body."""
    try:
        ask(*arguments)
    except mixpeek.ApiException as error:
        body = json.loads(error.body)
        return [type(error).__name__, error.status, body["error"]["type"], error.data is not None]
    return None


def tear_down(session, one, connection_id):
    deleted = session.syncs.delete_sync_configuration_buckets_id_config(*one)
    gone = refusal(session.syncs.get_sync_configuration_buckets_id_config, *one)
    archived = session.connections.delete_storage_connection_organizations(connection_id)
    return {
        "deleted": deleted["success"],
        "gone": gone,
        "archived": archived["connection_id"] == connection_id,
        "left": session.connections.list_storage_connections_organizations().total,
    }


def as_json(model):
    return model.model_dump(mode="json", by_alias=True)


def plain(value):
    return getattr(value, "value", value)


def main():
    session = Session(json.load(sys.stdin))
    told = {"version": mixpeek.__version__}
    connection_id, told["connections"] = connections(session)
    bucket_id, made = make_sync(session, connection_id)
    one = (bucket_id, made.sync_config_id)
    told["sync"] = manage(session, bucket_id, made)
    job = run(session, one)
    told["job"] = [job["status"], job["files_synced"] + job["files_verified"], job["total_files"]]
    told["numbers"] = numbers(session, one)
    told["contents"] = contents(session, bucket_id)
    told["analytics"] = analytics(session, one)
    told["refusals"] = refusals(session, connection_id, bucket_id)
    told["dead_letters"] = dead_letters(session, one)
    told["end"] = tear_down(session, one, connection_id)
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
