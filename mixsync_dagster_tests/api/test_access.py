"""Keys, roles, and the open door of a server that nobody has made a key for."""

from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from mixsync_dagster_tests.api.serving import Client, make_key, serving


def test_without_keys_a_loopback_server_serves_its_owner(ask):
    made = ask.done("POST", "/v1/buckets", {"bucket_name": "mine"})
    assert ask.done("GET", f"/v1/buckets/{made['bucket_id']}")["bucket_name"] == "mine"


def test_the_first_key_closes_the_door_and_revoking_it_does_not_open_it(ask, services):
    key = make_key(services, "default", organisation="local")
    assert ask("POST", "/v1/buckets/list").status_code == 401
    keyed = Client(ask.url, key)
    assert keyed("POST", "/v1/buckets/list").status_code == 200
    services.open_keys().revoke(key)
    assert keyed("POST", "/v1/buckets/list").status_code == 401
    assert ask("POST", "/v1/buckets/list").status_code == 401


def test_a_server_for_everybody_is_never_open(services):
    with serving(services, open_access=False) as url:
        answer = Client(url)("POST", "/v1/buckets/list")
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["error"]["type"] == "UnauthorizedError"
    assert answer.json()["error"]["code"] == "invalid_key"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Host": "[bad"},
    ],
)
def test_pages_of_other_sites_get_nothing_without_a_key(ask, headers):
    answer = ask("POST", "/v1/buckets/list", headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_host")


@pytest.mark.parametrize("headers", [{"Host": "localhost:1"}, {"Host": "[::1]:1"}, {"Origin": "http://localhost:3000"}])
def test_this_machine_is_served_by_any_of_its_names(ask, headers):
    assert ask("POST", "/v1/buckets/list", headers=headers).status_code == 200


def test_with_a_key_any_host_is_served(ask, services):
    keyed = Client(ask.url, make_key(services, "alpha"))
    assert keyed("POST", "/v1/buckets/list", headers={"Host": "sync.example"}).status_code == 200


@pytest.mark.parametrize(
    "value",
    [b"", b"Bearer", b"Basic abc", b"sk_x", b"Bearer sk_\xff\xfe\xfd", b"Bearer " + b"k" * 5000, b"Bearer a b"],
)
def test_odd_authorization_headers_are_refused(estate, value):
    answer = Client(estate.url)("POST", "/v1/buckets/list", headers={b"Authorization": value})
    assert answer.status_code == 401


def test_two_authorization_headers_are_refused(estate):
    address = urlsplit(estate.url)
    connection = HTTPConnection(address.hostname, address.port, timeout=30)
    connection.putrequest("POST", "/v1/buckets/list")
    for _ in range(2):
        connection.putheader("Authorization", f"Bearer {estate.owner.key}")
    connection.endheaders()
    assert connection.getresponse().status == 401
    connection.close()


def test_the_scheme_may_be_written_in_any_case(estate):
    headers = {"Authorization": f"bearer {estate.owner.key}"}
    assert Client(estate.url)("POST", "/v1/buckets/list", headers=headers).status_code == 200


@pytest.mark.parametrize("named", ["alpha", "ns_alpha"])
def test_the_namespace_may_be_told_by_id_or_name(estate, named):
    assert estate.owner("POST", "/v1/buckets/list", headers={"X-Namespace": named}).status_code == 200
    assert estate.owner("POST", "/v1/buckets/list", params={"namespace": named}).status_code == 200


def test_viewers_read_and_change_nothing(estate):
    viewer, library = estate.with_key("alpha", "viewer"), estate.library
    assert viewer("GET", library.sync).status_code == 200
    assert viewer("POST", f"{library.sync}/dlq").status_code == 200
    changes = [
        ("POST", "/v1/buckets", {"bucket_name": "mine"}),
        ("DELETE", f"/v1/buckets/{library.bucket_id}", None),
        ("POST", library.syncs, {}),
        ("PATCH", library.sync, {"description": "x"}),
        ("DELETE", library.sync, None),
        *(("POST", f"{library.sync}/{verb}", None) for verb in ("pause", "resume", "trigger", "unlock", "dlq/requeue")),
    ]
    for method, path, body in changes:
        answer = viewer(method, path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "role"), (method, path)


def test_connections_are_for_admins(estate):
    for role in ("viewer", "editor"):
        caller = estate.with_key("alpha", role)
        assert caller("GET", f"/v1/connections/{estate.library.connection_id}").status_code == 403
        assert caller("POST", "/v1/organizations/connections/list").status_code == 403
        assert caller("POST", "/v1/connections", {}).status_code == 403


def test_editors_change_syncs(estate):
    editor = estate.with_key("alpha", "editor")
    assert editor.done("PATCH", estate.library.sync, {"description": "edited"})["description"] == "edited"
