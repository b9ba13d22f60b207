"""Where this API knowingly differs from the vendor's OpenAPI document 0.81, each with its reason."""

OPERATIONS = {
    "POST /v1/buckets/{}/objects": "syncs write objects; people do not",
    "POST /v1/buckets/{}/objects/batch": "syncs write objects; people do not",
    "PUT /v1/buckets/{}/objects/{}": "syncs write objects; people do not",
    "PATCH /v1/buckets/{}/objects/{}": "syncs write objects; people do not",
    "DELETE /v1/buckets/{}/objects/{}": "a sync would make the object again",
    "PUT /v1/buckets/{}": "a bucket's schema is what its syncs were checked against",
    "PATCH /v1/buckets/{}": "a bucket's schema is what its syncs were checked against",
    "POST /v1/buckets/{}/batches": "syncs make batches",
    "POST /v1/buckets/{}/batches/{}/objects": "syncs fill batches",
    "PATCH /v1/buckets/{}/batches/{}": "syncs make batches",
    "DELETE /v1/buckets/{}/batches/{}": "what was handed over is kept",
    "POST /v1/buckets/{}/uploads": "there are no uploads: bytes come from a sync's source",
    "GET /v1/buckets/{}/uploads/{}": "there are no uploads",
    "DELETE /v1/buckets/{}/uploads/{}": "there are no uploads",
    "POST /v1/buckets/{}/uploads/list": "there are no uploads",
    "POST /v1/buckets/{}/uploads/{}/confirm": "there are no uploads",
    "POST /v1/buckets/{}/uploads/batch": "there are no uploads",
    "POST /v1/buckets/{}/uploads/confirm/batch": "there are no uploads",
    "DELETE /v1/tasks/{}": "an embedded bucket's batches are done when they are handed over",
    "GET /v1/tasks/{}": "an embedded bucket's batches are done when they are handed over",
}
"""Operations that are not offered; ids are left out of their paths."""

_STATES = "a state that nothing of this kind can be in"
_EMPTY = "a change of nothing is a slip; the API tells it as 400"

REQUESTS = {
    ("SyncCreateRequest", "file_filters.a"): "unknown keys are refused by name: a filter that filters nothing misleads",
    ("SyncCreateRequest", "file_filters.b"): "unknown keys are refused by name: a filter that filters nothing misleads",
    (
        "SyncCreateRequest",
        "schema_mapping.mappings.x.source.type",
    ): "the document's text says that a field cannot be filled by the file",
    (
        "SyncUpdateRequest",
        "schema_mapping.mappings.x.source.type",
    ): "the document's text says that a field cannot be filled by the file",
    ("SyncUpdateRequest", ""): _EMPTY,
    ("SyncUpdateRequest", "status"): _STATES,
    ("StorageConnectionUpdateRequest", ""): _EMPTY,
    ("StorageConnectionUpdateRequest", "status"): _STATES,
    ("StorageConnectionCreateRequest", "provider_type"): "of the document's providers, postgresql is not offered",
    ("ListStorageConnectionsRequest", "provider_type"): "of the document's providers, postgresql is not offered",
    ("BucketCreateRequest", "unique_key"): "an object's identity is that of its item at the provider",
    ("ListObjectsRequest", "filters"): "objects are found by sync, batch, path and time",
    ("ListObjectsRequest", "search"): "objects are found by sync, batch, path and time",
    ("ListObjectsRequest", "select"): "objects are told whole",
    ("ListObjectsRequest", "sort"): "objects are listed by id, so that pages stay in step while syncs write",
    ("GoogleDriveConfig", "credentials.private_key"): "the document's example is cut off",
    ("SnowflakeConfig", "credentials.private_key"): "the document's example is cut off",
    ("S3Config", "use_ssl"): "requests go unencrypted to loopback addresses only",
}
"""Fields with values that the document accepts and that are refused, by schema."""

ANSWERS = {
    (
        "ListBatchesResponse",
        "results.*.object_ids",
    ): "a batch may have ten thousand objects: a list of batches leaves them out",
}
"""Places of answers that are not as the document's schema says, by schema."""
