import pytest

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.provider_configs import S3Config, TigrisConfig
from mixsync_dagster.providers.s3.factory import from_connection, settings_for

KEYS = {"type": "access_key", "access_key_id": "AKID", "secret_access_key": "CANARY", "session_token": "CANARY-2"}
ROLE = {"type": "iam_role", "role_arn": "arn:aws:iam::123456789012:role/reader", "external_id": "outside-1"}


def test_an_aws_connection_becomes_settings():
    settings = settings_for(S3Config(region="eu-west-1", credentials=KEYS), "s3://photos/in/2026")
    assert (settings.container, settings.prefix, settings.dialect) == ("photos", "in/2026", "aws")
    assert (settings.region, settings.endpoint_url, settings.verify) == ("eu-west-1", None, True)
    assert (settings.access_key_id, settings.secret_access_key) == ("AKID", "CANARY")
    assert settings.session_token == "CANARY-2"


def test_a_compatible_service_becomes_settings(tmp_path):
    config = S3Config(
        endpoint_url="https://minio.example:9000", dialect="minio", addressing_style="virtual", credentials=KEYS
    )
    settings = settings_for(config, "photos", ca_bundle=tmp_path / "ca.pem")
    assert (settings.dialect, settings.endpoint_url) == ("minio", "https://minio.example:9000")
    assert settings.addressing_style == "virtual"
    assert settings.verify == str(tmp_path / "ca.pem")


def test_verification_that_was_switched_off_stays_off(tmp_path):
    config = S3Config(endpoint_url="http://127.0.0.1:9000", credentials=KEYS)
    settings = settings_for(config, "photos", ca_bundle=tmp_path / "ca.pem")
    assert (settings.use_ssl, settings.verify, settings.dialect) == (False, False, "generic")


def test_a_role_becomes_settings():
    settings = settings_for(S3Config(credentials=ROLE), "photos")
    assert (settings.role_arn, settings.external_id) == (ROLE["role_arn"], "outside-1")
    assert settings.access_key_id is None


def test_a_tigris_connection_becomes_settings():
    keys = {"access_key_id": "tid_x", "secret_access_key": "tsec_x"}
    settings = settings_for(TigrisConfig(credentials=keys), "photos/in/")
    assert (settings.dialect, settings.effective_region, settings.prefix) == ("tigris", "auto", "in/")
    assert settings.endpoint_url == "https://fly.storage.tigris.dev"
    assert settings.addressing == "virtual"


def test_a_provider_narrows_its_listing_by_the_prefix_filter():
    provider = from_connection(S3Config(credentials=KEYS), "photos/in/", provider_filters={"prefix": "2026"})
    assert provider._settings.narrowed_to == "2026"
    assert provider.root == "in/"


@pytest.mark.parametrize("filters", [{"prefixes": "a"}, {"prefix": 7}])
def test_filters_that_s3_does_not_know_are_refused(filters):
    with pytest.raises(InvalidInput, match="provider_filters"):
        from_connection(S3Config(credentials=KEYS), "photos", provider_filters=filters)


def test_a_source_path_that_is_none_is_refused():
    with pytest.raises(InvalidInput, match="source_path"):
        from_connection(S3Config(credentials=KEYS), "UPPER/x")
