"""Connections: tested before they are saved, and silent about their credentials."""

import pytest

from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster.errors import AccessDenied, ProviderUnavailable
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.api.serving import SECRET, connection_body

PATHS = ("/v1/organizations/connections", "/v1/connections")
NOWHERE = "http://127.0.0.1:9"


def secret_of(services, connection_id):
    return services.store.credentials_of(connection_id)["secret_access_key"]


@pytest.mark.parametrize("path", PATHS)
def test_a_connection_that_answers_is_saved(ask, services, source, path):
    made = ask.done("POST", path, connection_body(source.endpoint_url, description="films", metadata={"team": "a"}))
    assert made["connection_id"].startswith("conn_")
    assert (made["status"], made["is_active"]) == ("ACTIVE", True)
    assert made["provider_config"]["credentials"] == {"type": "access_key"}
    assert ask.done("GET", f"{path}/{made['connection_id']}") == made
    assert ask.done("GET", f"{path}/media") == made
    assert secret_of(services, made["connection_id"]) == SECRET


def test_a_connection_that_does_not_answer_is_not_saved(ask):
    answer = ask("POST", PATHS[0], connection_body(NOWHERE))
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["problems"][0]["field"] == "provider_config"
    assert "did not pass its test" in answer.json()["error"]["message"]
    assert "test_before_save: false" in answer.json()["error"]["message"]
    assert SECRET not in answer.text
    assert ask.done("POST", f"{PATHS[0]}/list")["total"] == 0


def test_a_connection_is_not_tested_when_that_is_said(ask):
    made = ask.done("POST", PATHS[0], connection_body(NOWHERE, test_before_save=False))
    told = ask.done("POST", f"{PATHS[0]}/{made['connection_id']}/test")
    assert (told["success"], told["details"]) == (False, None)
    assert told["message"]


def test_a_stored_connection_is_tested_on_a_sync_of_its_own(estate):
    told = estate.owner.done("POST", f"{PATHS[0]}/media/test")
    assert told == {
        "success": True,
        "message": "The provider answers and demo-media can be listed.",
        "details": {"source_path": "demo-media"},
    }


def test_names_are_unique(ask):
    ask.done("POST", PATHS[0], connection_body(NOWHERE, test_before_save=False))
    answer = ask("POST", PATHS[0], connection_body(NOWHERE, test_before_save=False))
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "ConflictError")


def test_a_provider_that_is_not_offered_is_refused(ask):
    answer = ask("POST", PATHS[0], {"name": "x", "provider_type": "sftp", "provider_config": {}})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "provider_type"]


def test_references_to_the_servers_environment_are_refused(ask, monkeypatch):
    monkeypatch.setenv("MIXSYNC_SECRET_KEY", "of-the-server")
    body = connection_body(NOWHERE, test_before_save=False)
    body["provider_config"]["credentials"]["secret_access_key"] = {"env": "MIXSYNC_SECRET_KEY"}
    answer = ask("POST", PATHS[0], body)
    assert answer.status_code == 422
    field = "provider_config.credentials.secret_access_key"
    assert answer.json()["error"]["details"]["problems"][0]["field"] == field
    made = ask.done("POST", PATHS[0], connection_body(NOWHERE, test_before_save=False))
    change = {"provider_config": {**body["provider_config"]}}
    answer = ask("PATCH", f"{PATHS[0]}/{made['connection_id']}", change)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["problems"][0]["field"] == field


def test_a_change_keeps_the_credentials_that_it_leaves_out(ask, services):
    path = f"{PATHS[0]}/{ask.done('POST', PATHS[0], connection_body(NOWHERE, test_before_save=False))['connection_id']}"
    config = {"endpoint_url": "http://127.0.0.1:10", "dialect": "minio"}
    changed = ask.done("PATCH", path, {"provider_config": config, "description": "moved"})
    assert (changed["provider_config"]["endpoint_url"], changed["description"]) == ("http://127.0.0.1:10", "moved")
    assert secret_of(services, changed["connection_id"]) == SECRET
    credentials = {"type": "access_key", "secret_access_key": "another-secret-of-the-test"}
    ask.done("PATCH", path, {"provider_config": {**config, "credentials": credentials}})
    stored = services.store.credentials_of(changed["connection_id"])
    assert (stored["secret_access_key"], stored["access_key_id"]) == ("another-secret-of-the-test", "AKIADEMO")
    assert ask.done("PATCH", path, {"name": "renamed", "description": ""})["description"] is None
    assert ask.done("GET", f"{PATHS[0]}/renamed")["connection_id"] == changed["connection_id"]


@pytest.mark.parametrize("body", [None, {}, {"name": None}])
def test_a_change_of_nothing_is_refused(estate, body):
    answer = estate.owner("PATCH", f"{PATHS[0]}/media", body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "empty_patch")


def test_a_change_of_the_provider_says_what_to_do_instead(estate):
    answer = estate.owner("PATCH", f"{PATHS[0]}/media", {"provider_type": "tigris"})
    assert answer.status_code == 422
    assert "create a new connection" in answer.json()["error"]["message"]


def test_a_connection_is_suspended_and_activated(ask):
    path = f"{PATHS[0]}/{ask.done('POST', PATHS[0], connection_body(NOWHERE, test_before_save=False))['connection_id']}"
    assert ask.done("PATCH", path, {"is_active": False})["status"] == "SUSPENDED"
    assert ask.done("POST", f"{PATHS[0]}/list", {"status": "suspended"})["total"] == 1
    assert ask.done("POST", f"{PATHS[0]}/list", {"is_active": True})["total"] == 0
    assert ask.done("PATCH", path, {"status": "ACTIVE"})["is_active"] is True


@pytest.mark.parametrize("how", ["delete", "patch"])
def test_an_archived_connection_does_not_come_back(ask, services, how):
    made = ask.done("POST", PATHS[0], connection_body(NOWHERE, test_before_save=False))
    path = f"{PATHS[0]}/{made['connection_id']}"
    if how == "delete":
        told = ask.done("DELETE", path)
        assert told["connection_id"] == made["connection_id"]
        assert {type(value) for value in told.values()} == {str}
    else:
        assert ask.done("PATCH", path, {"status": "ARCHIVED"})["status"] == "ARCHIVED"
    assert ask.done("GET", path)["status"] == "ARCHIVED"
    assert ask.done("POST", f"{PATHS[0]}/list")["total"] == 0
    answer = ask("PATCH", path, {"is_active": True})
    assert (answer.status_code, answer.json()["error"]["type"]) == (409, "ConflictError")
    assert ask("POST", f"{path}/test").status_code == 404


def test_archiving_beside_other_changes_is_refused(ask):
    ask.done("POST", PATHS[0], connection_body(NOWHERE, test_before_save=False))
    answer = ask("PATCH", f"{PATHS[0]}/media", {"status": "ARCHIVED", "description": "gone"})
    assert (answer.status_code, answer.json()["detail"][0]["loc"]) == (422, ["body", "status"])
    assert ask.done("GET", f"{PATHS[0]}/media")["status"] == "ACTIVE"


def test_a_connection_in_use_is_not_archived(estate):
    answer = estate.owner("DELETE", f"{PATHS[0]}/media")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "conflict")
    assert estate.owner.done("GET", f"{PATHS[0]}/media")["status"] == "ACTIVE"


def test_no_answer_holds_a_secret(ask, source):
    answers = [ask("POST", PATHS[0], connection_body(source.endpoint_url))]
    path = f"{PATHS[0]}/media"
    answers += [
        ask("GET", path),
        ask("POST", f"{PATHS[0]}/list"),
        ask("POST", f"{path}/test"),
        ask("PATCH", path, {"provider_config": {"credentials": {"secret_access_key": SECRET}, "region": 5}}),
        ask("PATCH", path, {"provider_config": {"secret_access_key": SECRET}}),
        ask("POST", PATHS[0], {**connection_body(source.endpoint_url), "secret": SECRET}),
        ask("POST", PATHS[0], {**connection_body(source.endpoint_url), "provider_config": {"credentials": SECRET}}),
        ask("GET", "/metrics"),
        ask("DELETE", path),
    ]
    assert [answer.request.url.path for answer in answers if SECRET in answer.text] == []


def test_five_failed_tests_suspend_a_connection_until_it_is_changed(services, ask, source):
    made = ask.done("POST", "/v1/connections", connection_body(source.endpoint_url))
    path = f"/v1/connections/{made['connection_id']}"
    bucket = ask.done("POST", "/v1/buckets", {"bucket_name": "films"})["bucket_id"]
    asked = {"connection_id": made["connection_id"], "source_path": BUCKET}
    sync = ask.done("POST", f"/v1/buckets/{bucket}/syncs", asked)["sync_config_id"]
    denied = AccessDenied("the key is not accepted.")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Services, "check_source", lambda *_, **__: (_ for _ in ()).throw(denied))
        for count in range(1, 6):
            assert ask.done("POST", f"{path}/test")["success"] is False
            told = ask.done("GET", path)
            assert (told["consecutive_failures"], told["last_error"]) == (count, "the key is not accepted.")
            assert told["status"] == ("SUSPENDED" if count == 5 else "ACTIVE")
        # An outage says nothing of the credentials.
        patch.setattr(Services, "check_source", lambda *_, **__: (_ for _ in ()).throw(ProviderUnavailable("away.")))
        ask.done("POST", f"{path}/test")
        assert ask.done("GET", path)["consecutive_failures"] == 5
    paused = ask.done("GET", f"/v1/buckets/{bucket}/syncs/{sync}")
    assert (paused["status"], paused["paused"], paused["pause_reason"]) == ("SUSPENDED", True, "connection_suspended")
    assert "connection media is SUSPENDED and may not be used" in paused["last_error"]
    assert ask.done("POST", f"{path}/test")["success"] is True
    assert ask.done("GET", path)["status"] == "ACTIVE"
    assert ask.done("GET", f"/v1/buckets/{bucket}/syncs/{sync}")["paused"] is False


def test_a_change_of_its_config_lets_a_suspended_connection_go_on(services, ask, source):
    made = ask.done("POST", "/v1/connections", connection_body(source.endpoint_url))["connection_id"]
    for _ in range(5):
        services.store.connection_used(made, error="refused.")
    ask.done("PATCH", f"/v1/connections/{made}", {"description": "only words"})
    assert ask.done("GET", f"/v1/connections/{made}")["status"] == "SUSPENDED"
    config = connection_body(source.endpoint_url)["provider_config"]
    changed = ask.done("PATCH", f"/v1/connections/{made}", {"provider_config": config})
    assert (changed["status"], changed["consecutive_failures"], changed["last_error"]) == ("ACTIVE", 0, None)
