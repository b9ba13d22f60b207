"""Inputs and generators that the tests of the configuration model share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

QUICK = settings(deadline=None, max_examples=60, database=None)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PEM = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"

S3_CREDENTIALS: dict[str, Any] = {
    "type": "access_key",
    "access_key_id": "minioadmin",
    "secret_access_key": "minioadmin-secret",
}

CONFIGS: dict[str, dict[str, Any]] = {
    "s3": {"region": "eu-west-1", "credentials": S3_CREDENTIALS},
    "tigris": {"credentials": {"type": "access_key", "access_key_id": "tid_a", "secret_access_key": "tsec_b"}},
    "google_drive": {
        "shared_drive_id": "0AH-Xabc123",
        "credentials": {
            "type": "service_account",
            "project_id": "my-project-123",
            "private_key_id": "a1b2",
            "private_key": PEM,
            "client_email": "sync@my-project-123.iam.gserviceaccount.com",
            "client_id": "123456789012345678901",
        },
    },
    "sharepoint": {
        "site_id": "root",
        "credentials": {
            "type": "client_credentials",
            "tenant_id": "12345678-1234-1234-1234-123456789abc",
            "client_id": "87654321-4321-4321-4321-cba987654321",
            "client_secret": "shh",
        },
    },
    "snowflake": {
        "account": "xy12345.us-east-1",
        "warehouse": "COMPUTE_WH",
        "schema": "PUBLIC",
        "credentials": {"type": "username_password", "username": "SYNC_USER", "password": "pass word"},
    },
}
"""A config of each provider."""


def connection_request(provider: str = "s3", **changes: Any) -> dict[str, Any]:
    """Return the input that creates a connection, with some keys changed."""
    return {"name": "media", "provider_type": provider, "provider_config": CONFIGS[provider], **changes}


def sync_request(**changes: Any) -> dict[str, Any]:
    """Return the input that creates a sync, with some keys changed."""
    return {"connection_id": "conn_abc123", "source_path": "my-bucket/videos", **changes}


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=30)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - aware by timezones


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a generator of mappings that hold any of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


FILTERS = some(
    include_patterns=st.lists(st.sampled_from(["*.mp4", "a/[bc]*", "x?"]), max_size=2),
    exclude_patterns=st.none() | st.lists(st.sampled_from(["*/drafts/*", ".DS_Store"]), max_size=2),
    extensions=st.lists(st.sampled_from([".mp4", "MOV", "tar.gz"]), max_size=2),
    min_size_bytes=st.integers(0, 10),
    max_size_bytes=st.integers(10, 2**63 - 1),
    modified_after=st.just("2024-01-01T00:00:00Z"),
    modified_before=MOMENTS.filter(lambda moment: moment.year > 2024).map(lambda moment: moment.isoformat()),
    mime_types=st.lists(st.sampled_from(["video/", "image/*", "*/*", "text/plain"]), max_size=2),
    metadata_filters=st.lists(
        st.sampled_from(
            [
                {"field": "a", "value": "b"},
                {"field": "a", "operator": "exists"},
                {"field": "a", "operator": "gte", "value": 2.5},
                {"field": "a", "operator": "equals", "value": True},
            ]
        ),
        max_size=2,
    ),
)

SOURCES = st.one_of(
    st.fixed_dictionaries({"type": st.just("tag"), "key": WORDS}),
    st.fixed_dictionaries({"type": st.just("metadata"), "key": WORDS}),
    st.fixed_dictionaries(
        {"type": st.just("filename_regex"), "pattern": st.sampled_from([r"_(\d+)_", r"\.(\w+)$"])},
        optional={"default": WORDS},
    ),
    st.fixed_dictionaries({"type": st.just("folder_path")}, optional={"segment": st.integers(-5, 5)}),
    st.fixed_dictionaries({"type": st.just("constant"), "value": JSON_VALUES}),
)
ENTRIES = st.one_of(
    st.fixed_dictionaries(
        {"target_type": st.just("field"), "source": SOURCES},
        optional={"transform": st.sampled_from(["lowercase", "json_parse", None]), "required": st.booleans()},
    ),
    st.fixed_dictionaries(
        {"target_type": st.just("blob"), "source": SOURCES | st.just({"type": "file"})},
        optional={"blob_type": st.sampled_from(["auto", "pdf"]), "mime_type_override": st.just("image/jpeg")},
    ),
)
MAPPINGS = st.fixed_dictionaries({"mappings": st.dictionaries(WORDS, ENTRIES, max_size=4)})

SYNC_SETTINGS = some(
    sync_mode=st.sampled_from(["continuous", "one_time", "initial_only", "scheduled"]),
    file_filters=FILTERS,
    schema_mapping=MAPPINGS,
    polling_interval_seconds=st.integers(30, 900),
    batch_size=st.integers(1, 100),
    skip_batch_submission=st.booleans(),
    skip_duplicates=st.booleans(),
    reconcile=some(on_delete=st.booleans(), re_extract_fields=st.none() | st.lists(WORDS, max_size=2)),
    sync_from=MOMENTS.map(lambda moment: moment.isoformat()),
    provider_filters=st.dictionaries(WORDS, JSON_VALUES, max_size=2),
    batch_collection_ids=st.lists(WORDS, max_size=2),
    description=WORDS,
    max_objects_per_run=st.integers(1, 10**9),
    sync_concurrency=st.integers(1, 100),
    metadata=st.dictionaries(WORDS, JSON_VALUES, max_size=3),
    name=st.from_regex(r"[A-Za-z0-9._-]{1,100}", fullmatch=True),
)
SYNC_REQUESTS = SYNC_SETTINGS.map(lambda chosen: sync_request(**chosen))
