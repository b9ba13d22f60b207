"""What the simulated Graph promises to those who test against it, seen by a client that is not ours."""

import httpx
import pytest

from mixsync_dagster.testing.graph_simulator import GraphSimulator, sign_in


@pytest.fixture
def graph():
    with GraphSimulator(page_size=4) as simulator:
        yield simulator


@pytest.fixture
def client(graph):
    form = {
        "client_id": sign_in.CLIENT_ID,
        "client_secret": sign_in.CLIENT_SECRET,
        "grant_type": "client_credentials",
    }
    with httpx.Client(base_url=graph.graph_endpoint, trust_env=False) as client:
        token = client.post(f"{graph.url}/{sign_in.TENANT}/oauth2/v2.0/token", data=form).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def crawl(client, link):
    items = []
    while True:
        page = client.get(link).json()
        items += page["value"]
        if "@odata.deltaLink" in page:
            return items, page["@odata.deltaLink"]
        link = page["@odata.nextLink"]


def test_a_crawl_tells_every_entry_without_paths_and_ends_with_a_delta_link(graph, client):
    for number in range(9):
        graph.default_library.put(f"a/b/{number}.txt", b"x")
    items, _ = crawl(client, f"/drives/{graph.default_library.id}/root/delta")
    assert len(items) == 12
    assert all("path" not in item["parentReference"] for item in items if "root" not in item)


def test_a_delta_tells_changes_and_deletions_in_their_last_state_only(graph, client):
    drive = graph.default_library
    for name in ("a.txt", "b.txt", "c.txt"):
        drive.put(name, b"x")
    link = crawl(client, f"/drives/{drive.id}/root/delta?token=latest")[1]
    drive.put("a.txt", b"1")
    drive.put("a.txt", b"2")
    gone = drive.find("b.txt").id
    drive.delete("b.txt")
    items, _ = crawl(client, link)
    changed = [item for item in items if "root" not in item]
    assert [item.get("name") for item in changed] == ["a.txt", None]
    assert changed[1]["id"] == gone
    assert "deleted" in changed[1]


def test_a_folder_s_rename_is_told_of_the_folder_alone(graph, client):
    drive = graph.default_library
    drive.put("folder/a.txt", b"x")
    link = crawl(client, f"/drives/{drive.id}/root/delta?token=latest")[1]
    drive.move("folder", "renamed")
    assert [item["name"] for item in crawl(client, link)[0] if "root" not in item] == ["renamed"]


def test_an_old_position_is_gone_and_tells_where_to_begin(graph, client):
    drive = graph.default_library
    link = crawl(client, f"/drives/{drive.id}/root/delta?token=latest")[1]
    graph.expired_before = 100
    answer = client.get(link)
    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "resyncChangesApplyDifferences"
    assert "@odata.deltaLink" in client.get(answer.headers["Location"]).json()


def test_an_address_of_bytes_takes_no_token_and_ends(graph, client):
    drive = graph.default_library
    entry = drive.put("a.bin", b"0123456789")
    url = client.get(f"/drives/{drive.id}/items/{entry.id}").json()["@microsoft.graph.downloadUrl"]
    assert client.get(url).status_code == 401
    part = httpx.get(url, headers={"Range": "bytes=4-"}, trust_env=False)
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (206, b"456789", "bytes 4-9/10")
    graph.end_download_addresses()
    assert httpx.get(url, trust_env=False).status_code == 401


def test_without_a_right_or_a_token_nothing_is_told(graph, client):
    graph.sign_in.roles = ()
    assert client.get("/sites/root").status_code == 403
    graph.sign_in.revoke()
    assert client.get("/sites/root").status_code == 401


def test_faults_meet_as_many_requests_as_they_say(graph, client):
    graph.faults.add("site", status=429, code="tooManyRequests", headers={"Retry-After": "9"}, skip=1, times=1)
    assert [client.get("/sites/root").status_code for _ in range(3)] == [200, 429, 200]
    with pytest.raises(ValueError, match="give one of"):
        graph.faults.add("nothing")


def test_every_request_is_logged(graph, client):
    client.get("/sites/root")
    assert (graph.count("token"), graph.count("site"), graph.count()) == (1, 1, 2)
    graph.forget_requests()
    assert graph.count() == 0
