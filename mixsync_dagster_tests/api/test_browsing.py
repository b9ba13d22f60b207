"""Folders and files of Drive connections."""

import pytest

from mixsync_dagster.testing.drive_simulator import DriveSimulator
from mixsync_dagster_tests.api.serving import connection_body


@pytest.fixture
def drive():
    with DriveSimulator() as running:
        files = running.files
        marketing = files.add_folder("Marketing")
        files.add_folder("Sales")
        files.add_folder("Assets", marketing)
        files.add_folder("a/b", marketing)
        twins = [files.add_folder("Twin", marketing) for _ in range(2)]
        for number in range(3):
            files.add(f"film {number}.mp4", marketing, mime_type="video/mp4", content=b"x" * number)
        files.add("Plan", marketing, mime_type="application/vnd.google-apps.document")
        running.ids = {"marketing": marketing, "twins": sorted(twins)}
        yield running


@pytest.fixture
def browse(ask, drive):
    config = {"credentials": drive.service_account(), "api_endpoint": drive.api_endpoint}
    body = {"name": "team drive", "provider_type": "google_drive", "provider_config": config}
    ask.done("POST", "/v1/organizations/connections", {**body, "test_before_save": False})

    def browsed(what, prefix="/v1/organizations/connections", **params):
        return ask("GET", f"{prefix}/team drive/{what}", params=params)

    return browsed


def test_folders_are_listed_by_name(browse):
    told = browse("folders").json()
    assert told["parent_path"] == "/"
    assert [(one["name"], one["path"]) for one in told["results"]] == [
        ("Marketing", "/Marketing"),
        ("Sales", "/Sales"),
    ]
    assert {one["mime_type"] for one in told["results"]} == {"application/vnd.google-apps.folder"}
    assert browse("folders", prefix="/v1/connections").json() == told


def test_paths_lead_further_and_can_be_synced(browse, drive):
    told = {one["id"]: one["path"] for one in browse("folders", path="/Marketing").json()["results"]}
    assert "/Marketing/Assets" in told.values()
    # No path leads to a name with a slash, nor to one of two folders with one name.
    assert [told[one] for one in drive.ids["twins"]] == drive.ids["twins"]
    assert sum(path == identifier for identifier, path in told.items()) == 3
    for path in told.values():
        assert browse("folders", path=path).json()["results"] == []
    by_id = browse("folders", path=drive.ids["marketing"]).json()["results"]
    assert {one["path"] for one in by_id} == {one["id"] for one in by_id} == set(told)


def test_files_are_listed_up_to_a_number(browse):
    told = browse("files", path="/Marketing").json()
    assert [(one["name"], one["size_bytes"]) for one in told["results"]] == [
        ("Plan", None),
        ("film 0.mp4", 0),
        ("film 1.mp4", 1),
        ("film 2.mp4", 2),
    ]
    assert told["has_more"] is False
    assert told["results"][1]["modified_at"] is not None
    some = browse("files", path="/Marketing", max_results=2).json()
    assert (len(some["results"]), some["has_more"]) == (2, True)


def test_a_folder_that_is_not_there_has_no_folders(browse):
    assert browse("folders", path="/Nowhere").json() == {"results": [], "parent_path": "/Nowhere"}
    answer = browse("files", path="/Nowhere")
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "path_not_found")


@pytest.mark.parametrize(
    ("what", "params"), [("folders", {"path": ""}), ("files", {"max_results": 0}), ("files", {"max_results": 101})]
)
def test_unaccepted_parameters_are_refused(browse, what, params):
    assert browse(what, **params).status_code == 422


def test_other_providers_show_no_folders(ask, source):
    ask.done("POST", "/v1/connections", connection_body(source.endpoint_url, test_before_save=False))
    for what in ("folders", "files"):
        answer = ask("GET", f"/v1/connections/media/{what}")
        assert (answer.status_code, "google_drive" in answer.json()["error"]["message"]) == (422, True)
    assert ask("GET", "/v1/connections/nowhere/folders").status_code == 404


def test_an_outage_of_the_drive_is_no_mistake_of_the_caller(browse, drive):
    drive.fail("files.list", status=503)
    assert browse("folders").status_code == 503


def test_no_answer_holds_a_secret(browse, drive):
    drive.fail("token", status=401)
    answer = browse("folders")
    assert answer.status_code in (422, 503)
    assert "PRIVATE KEY" not in answer.text
