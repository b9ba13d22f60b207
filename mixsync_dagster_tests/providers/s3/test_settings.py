import pytest

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.providers.s3.dialects import DIALECTS
from mixsync_dagster.providers.s3.settings import S3Settings


@pytest.mark.parametrize(
    ("settings", "url", "path"),
    [
        (S3Settings("photos", region="eu-west-1"), "https://photos.s3.eu-west-1.amazonaws.com", "/"),
        (S3Settings("my.photos"), "https://s3.us-east-1.amazonaws.com", "/my.photos/"),
        (S3Settings("photos", addressing_style="path"), "https://s3.us-east-1.amazonaws.com", "/photos/"),
        (S3Settings("photos", dialect="tigris"), "https://photos.fly.storage.tigris.dev", "/"),
        (
            S3Settings("photos", dialect="tigris", endpoint_url="https://t3.storage.dev"),
            "https://photos.t3.storage.dev",
            "/",
        ),
        (S3Settings("photos", dialect="wasabi"), "https://s3.us-east-1.wasabisys.com", "/photos/"),
        (S3Settings("photos", dialect="spaces", region="ams3"), "https://photos.ams3.digitaloceanspaces.com", "/"),
        (
            S3Settings("photos", dialect="b2", region="eu-central-003"),
            "https://s3.eu-central-003.backblazeb2.com",
            "/photos/",
        ),
        (
            S3Settings("photos", dialect="minio", endpoint_url="http://127.0.0.1:9000"),
            "http://127.0.0.1:9000",
            "/photos/",
        ),
        (
            S3Settings("photos", dialect="generic", endpoint_url="https://h.example/s3/"),
            "https://h.example",
            "/s3/photos/",
        ),
        (S3Settings("photos", dialect="generic", endpoint_url="http://[::1]:9000"), "http://[::1]:9000", "/photos/"),
    ],
)
def test_requests_go_where_the_dialect_says(settings, url, path):
    assert settings.address.base_url == url
    assert settings.address.path == path


@pytest.mark.parametrize(
    ("settings", "identity"),
    [
        (S3Settings("b"), "aws"),
        (S3Settings("b", region="eu-west-1"), "aws"),
        (S3Settings("b", endpoint_url="https://bucket.vpce-1a.s3.eu-west-1.vpce.amazonaws.com"), "aws"),
        (S3Settings("b", dialect="tigris"), "fly.storage.tigris.dev"),
        (S3Settings("b", dialect="tigris", endpoint_url="https://T3.storage.dev"), "fly.storage.tigris.dev"),
        (S3Settings("b", dialect="tigris", endpoint_url="https://t3.storage.dev:8443"), "t3.storage.dev:8443"),
        (S3Settings("b", dialect="minio", endpoint_url="https://t3.storage.dev"), "t3.storage.dev"),
        (S3Settings("b", dialect="minio", endpoint_url="http://127.0.0.1:9000"), "127.0.0.1:9000"),
        (S3Settings("b", dialect="minio", endpoint_url="http://127.0.0.1:9000", endpoint_id="old:9000"), "old:9000"),
    ],
)
def test_identities_name_the_service(settings, identity):
    assert settings.identity == identity


def test_a_dialect_without_a_home_needs_an_endpoint():
    with pytest.raises(ConfigurationError, match="endpoint_url"):
        _ = S3Settings("b", dialect="minio").endpoint


def test_an_unknown_dialect_is_refused_with_the_known_ones():
    with pytest.raises(ConfigurationError, match="aws, tigris, minio, r2, wasabi, spaces, b2, generic"):
        _ = S3Settings("b", dialect="s4").row


def test_every_dialect_names_its_documentation():
    assert sorted(DIALECTS) == ["aws", "b2", "generic", "minio", "r2", "spaces", "tigris", "wasabi"]
    assert all(row.documentation.startswith("https://") for row in DIALECTS.values())


def test_secrets_are_not_shown():
    shown = repr(S3Settings("b", secret_access_key="CANARY", session_token="CANARY", external_id="CANARY"))
    assert "CANARY" not in shown
