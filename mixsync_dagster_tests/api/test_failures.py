"""What goes wrong is told in one body, in a sentence, without a traceback."""

import logging

import pytest

from mixsync_dagster.api.bodies import MAX_BODY_BYTES
from mixsync_dagster.control.tenancy import Tenant
from mixsync_dagster.errors import StoreUnavailable
from mixsync_dagster_tests.api.serving import Client, opened_home, serving


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """The local owner of one server for all tests here, which leave nothing behind."""
    with opened_home(tmp_path_factory.mktemp("failures")) as services, serving(services) as url:
        yield Client(url)


def test_an_unaccepted_body_is_told_in_both_forms(ask):
    answer = ask("POST", "/v1/buckets", {"bucket_name": "", "colour": "blue"})
    assert answer.status_code == 422
    told = answer.json()
    assert (told["success"], told["status"]) == (False, 422)
    assert (told["error"]["type"], told["error"]["code"]) == ("ValidationError", "invalid_input")
    assert [one["field"] for one in told["error"]["details"]["problems"]] == ["bucket_name", "colour"]
    assert [one["loc"] for one in told["detail"]] == [["body", "bucket_name"], ["body", "colour"]]
    assert all(set(one) == {"loc", "msg", "type"} for one in told["detail"])
    assert "colour is not a known key; the accepted keys are bucket_name, " in told["error"]["message"]
    assert told["request_id"] == answer.headers["X-Request-Id"]


def test_a_path_into_the_body_is_told_step_by_step(ask):
    body = {"bucket_name": "x", "bucket_schema": {"properties": {"a": {"type": "colour"}}}}
    told = ask("POST", "/v1/buckets", body).json()
    assert told["detail"][0]["loc"] == ["body", "bucket_schema", "properties", "a", "type"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "invalid_json"),
        (b"\xff\xfe\xfd", "invalid_json"),
        (b'{"bucket_name": NaN}', "invalid_json"),
        (b'{"bucket_name": ' + b"9" * 5000 + b"}", "invalid_json"),
        (b'{"bucket_name": "a", "bucket_name": "b"}', "key_twice"),
        (b"[" * 100 + b"]" * 100, "too_deep"),
        (b"[" * 200_000, "invalid_json"),
    ],
)
def test_what_is_no_json_is_refused(ask, body, code):
    answer = ask("POST", "/v1/buckets", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


@pytest.mark.parametrize("body", [b"[]", b"1", b'"text"', b"null", b"", b"{}"])
def test_json_that_is_no_request_is_refused(ask, body):
    answer = ask("POST", "/v1/buckets", content=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "invalid_input")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        (b'{"bucket_name": "\\ud800"}', ["body", "bucket_name"]),
        (b'{"bucket_name": "x", "metadata": {"a": "\\ud800"}}', ["body", "metadata"]),
        (b'{"bucket_name": "x", "metadata": {"\\udfff": 1}}', ["body", "metadata"]),
        (b'{"bucket_name": "x", "\\ud801": 1}', ["body"]),
    ],
)
def test_text_that_is_not_unicode_is_refused_and_told(ask, body, place):
    answer = ask("POST", "/v1/buckets", content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == place


def test_bodies_and_lists_have_bounds(ask):
    answer = ask("POST", "/v1/buckets", content=b" " * (MAX_BODY_BYTES + 1))
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")
    answer = ask("POST", "/v1/buckets", {"bucket_name": "x", "metadata": {"list": [0] * 10_001}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "list_too_long")


def test_headers_have_bounds(ask):
    answer = ask("GET", "/healthz", headers={"X-Long": "x" * 17_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (431, "headers_too_large")
    answer = ask("GET", "/healthz", headers={f"X-{number}": "x" for number in range(101)})
    assert answer.status_code == 431


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/v1/nothing", 404, "NotFoundError"),
        ("GET", "/v1/buckets/", 404, "NotFoundError"),
        ("PUT", "/v1/buckets", 405, "MethodNotAllowedError"),
        ("GET", "/v1/buckets/%00", 404, "NotFoundError"),
        ("GET", "/v1/buckets/%ff%fe", 404, "NotFoundError"),
        ("GET", "/v1/buckets/..%2f..%2fetc", 404, "NotFoundError"),
        ("GET", "/v1/buckets/'%20OR%201=1--", 404, "NotFoundError"),
    ],
)
def test_what_is_not_there_is_told_in_the_same_body(ask, method, path, status, kind):
    answer = ask(method, path)
    assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


@pytest.mark.parametrize("given", ["req-from-the-client", "0123456789abcdef"])
def test_a_request_id_of_the_client_is_kept(ask, given):
    assert ask("GET", "/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["short", "with space in it", "x" * 65, '"><script>alert'])
def test_an_odd_request_id_is_replaced(ask, given):
    assert ask("GET", "/healthz", headers={"X-Request-Id": given}).headers["X-Request-Id"].startswith("req_")


def test_a_mistake_of_ours_tells_the_client_and_the_log_no_values(ask, monkeypatch, caplog):
    def slip(self, **_):
        raise ValueError("sk_secret")

    monkeypatch.setattr(Tenant, "buckets_part", slip)
    with caplog.at_level(logging.ERROR):
        answer = ask("POST", "/v1/buckets/list")
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "InternalServerError")
    logged = caplog.text
    assert "sk_secret" not in answer.text + logged
    assert "Traceback" not in answer.text + logged
    assert answer.headers["X-Request-Id"] in logged
    assert "ValueError" in logged


def test_an_outage_of_the_store_says_when_to_come_back_and_not_which_machine(ask, monkeypatch):
    def outage(self, **_):
        raise StoreUnavailable("connection to db-7.internal as admin failed")

    monkeypatch.setattr(Tenant, "buckets_part", outage)
    answer = ask("POST", "/v1/buckets/list")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert "db-7" not in answer.text


def test_an_outage_of_the_store_is_no_fault_of_the_connection(estate, monkeypatch):
    def outage(self, connection_id):
        raise StoreUnavailable("down")

    monkeypatch.setattr(type(estate.services.store), "credentials_of", outage)
    body = {"connection_id": "media", "source_path": "demo-media"}
    assert estate.owner("POST", estate.library.syncs, body).status_code == 503
    assert estate.owner("POST", "/v1/connections/media/test").status_code == 503


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"offset": -1}, "offset"),
        ({"offset": 10_001}, "offset"),
        ({"page": 0}, "page"),
        ({"page": 10_000, "page_size": 1000}, "page"),
        ({"page": 2, "offset": 5}, "page"),
        ({"limit": 5, "page_size": 6}, "page_size"),
        ({"cursor": "!"}, "cursor"),
        ({"cursor": "gone"}, "cursor"),
        ({"cursor": "AGE"}, "cursor"),
        ({"cursor": "7aCA"}, "cursor"),
        ({"after": "x", "cursor": "y"}, "after"),
        ({"include_total": "perhaps"}, "include_total"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_paging_that_is_not_accepted_names_the_parameter(ask, params, field):
    answer = ask("POST", "/v1/buckets/list", params=params)
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", field]
    assert answer.json()["error"]["details"]["problems"][0]["field"] == field


@pytest.mark.parametrize("cursor", ["AGE", "7aCA", "AA", "\u20ac"])
def test_a_cursor_of_no_list_is_refused_for_objects_too(ask, cursor):
    bucket_id = ask.done("POST", "/v1/buckets", {"bucket_name": "x"})["bucket_id"]
    assert ask("POST", f"/v1/buckets/{bucket_id}/objects/list", params={"cursor": cursor}).status_code == 422
    ask.done("DELETE", f"/v1/buckets/{bucket_id}")


@pytest.mark.parametrize("name", ["\u00b2", "\u2460"])
def test_names_that_look_like_numbers_are_no_numbers(ask, name):
    assert ask("POST", "/v1/buckets/list", params={name: "1"}).json()["detail"][0]["loc"] == ["query", name]
    assert ask("POST", "/v1/buckets", {name: 1}).status_code == 422
