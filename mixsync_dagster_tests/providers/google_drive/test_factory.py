import pytest

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.provider_configs import GoogleDriveConfig, S3Config
from mixsync_dagster.providers.google_drive.factory import from_connection, settings_for
from mixsync_dagster_tests.providers.google_drive.conftest import paths


def config(server, **settings):
    values = {"api_endpoint": server.api_endpoint, "credentials": server.service_account(), **settings}
    return GoogleDriveConfig.model_validate(values)


def test_a_connection_becomes_a_provider(server, world):
    world.put("in/a.txt", b"x")
    provider = from_connection(config(server), "/in", provider_filters=None, ca_bundle=None)
    assert paths(provider) == ["in/a.txt"]
    provider.close()


def test_an_endpoint_without_its_slash_serves_as_well(server, world):
    world.put("in/a.txt", b"x")
    provider = from_connection(config(server, api_endpoint=server.api_endpoint.rstrip("/")), "/in")
    assert paths(provider) == ["in/a.txt"]
    provider.close()


def test_a_connection_becomes_settings(server, tmp_path):
    settings = settings_for(
        config(
            server,
            shared_drive_id="0Aone",
            impersonate_user="ann@example.com",
            export_format="pdf",
            follow_shortcuts=False,
        ),
        "/Marketing/Assets/",
        ca_bundle=tmp_path / "ca.pem",
    )
    assert (settings.shared_drive_id, settings.impersonate_user) == ("0Aone", "ann@example.com")
    assert (settings.export_format, settings.follow_shortcuts) == ("pdf", False)
    assert (settings.source_path, settings.verify) == ("/Marketing/Assets", str(tmp_path / "ca.pem"))
    assert settings.account["token_uri"] == f"{server.address}/token"
    assert (settings.account["type"], settings.who) == ("service_account", "ann@example.com")
    assert "PRIVATE KEY" not in repr(settings)


def test_googles_own_addresses_are_the_default(server):
    plain = {name: value for name, value in server.consent().items() if name != "token_uri"}
    settings = settings_for(GoogleDriveConfig.model_validate({"credentials": plain}), "root")
    assert settings.api_endpoint == "https://www.googleapis.com/drive/v3/"
    assert settings.account["token_uri"] == "https://oauth2.googleapis.com/token"
    assert settings.verify is True
    assert settings.who == "the account that gave its consent"


def test_a_filter_chooses_the_shared_drive(server, world):
    drive_id = server.files.add_drive("Team")
    server.files.add("a.txt", drive_id, content=b"x")
    provider = from_connection(config(server), "/", provider_filters={"shared_drive_id": drive_id})
    assert paths(provider) == ["a.txt"]
    provider.close()


@pytest.mark.parametrize("filters", [{"prefix": "x"}, {"shared_drive_id": ""}, {"shared_drive_id": 7}])
def test_other_filters_are_refused(server, filters):
    with pytest.raises(InvalidInput, match="provider_filters"):
        from_connection(config(server), "/", provider_filters=filters)


def test_a_path_of_another_form_is_refused(server):
    with pytest.raises(InvalidInput, match="source_path"):
        from_connection(config(server), "Marketing/Assets")


def test_a_connection_of_another_provider_is_refused():
    keys = {"type": "access_key", "access_key_id": "a", "secret_access_key": "b"}
    with pytest.raises(ConfigurationError, match="give google_drive"):
        from_connection(S3Config.model_validate({"credentials": keys}), "/")
