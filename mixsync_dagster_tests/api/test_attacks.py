"""What strangers try: paths that climb, patterns that never end, roles that do not suffice, keys that are guessed."""

import hmac
import time
from urllib.parse import quote

import pytest

from mixsync_dagster.control import keys
from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster_tests.api.serving import Client, make_key
from mixsync_dagster_tests.api.test_tenants import ids_of, operations

CLIMBING = (
    "../../../../etc/passwd", "../secret.key", "..\\..\\secret.key", "/etc/passwd", "//etc/passwd", "a\x00b",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "....//....//etc/passwd", "file:///etc/passwd", "~root", "\u2025/\u2025/etc",
    "a" * 3000, "'; DROP TABLE syncs; --", "{0.__class__}", "${jndi:ldap://x}", "\r\nSet-Cookie: a=b", "\ud7ff\uffff",
)  # fmt: skip


@pytest.mark.parametrize("text", CLIMBING)
def test_no_path_leads_out(estate, text):
    tried = 0
    for one in operations(estate.services):
        for name in one.names:
            if one.method == "DELETE" or name == "connection_identifier":
                continue
            values = {**ids_of(estate.library), name: quote(text, safe="")}
            answer = estate.owner(one.method, one.filled(values), one.body)
            assert answer.status_code in (400, 404, 405, 422), (one, name, answer.text)
            assert "root:" not in answer.text
            assert "set-cookie" not in {header.lower() for header in answer.headers}
            tried += 1
    assert tried > 30


def seconds_of(action):
    begun = time.perf_counter()
    answer = action()
    return time.perf_counter() - begun, answer


def mapping(pattern):
    source = {"type": "filename_regex", "pattern": pattern}
    return {"mappings": {"found": {"target_type": "field", "source": source}}}


def sync_body(estate, **more):
    body = {"connection_id": estate.library.connection_id, "source_path": BUCKET, "name": "attack"}
    return {**body, **more}


@pytest.mark.parametrize("pattern", [r"((?:a+)+)$", r"((?:a|aa)+)$", r"((?:a|a?)+)$", r"(.*a){11}$", r"((?:.*){32})z"])
def test_a_pattern_that_never_ends_elsewhere_ends_here(own_estate, pattern):
    syncs = own_estate.library.syncs
    seconds, answer = seconds_of(
        lambda: own_estate.owner("POST", syncs, sync_body(own_estate, schema_mapping=mapping(pattern)))
    )
    assert (answer.status_code, seconds < 5) == (200, True), answer.text
    path = "a" * 200 + "!"
    explain = f"{syncs}/{answer.json()['sync_config_id']}/explain?path={path}"
    seconds, told = seconds_of(lambda: own_estate.owner("GET", explain))
    assert (told.status_code < 500, seconds < 5) == (True, True), told.text


@pytest.mark.parametrize(
    "pattern",
    ["(a)" + "b" * 512, r"(?=a)(b)", r"(a)\1", "(a{1001})", "(a", "a", "(a)(b)", "(?P<n>a)(?P<m>b)", "(a{999}){999}"],
)
def test_a_pattern_beyond_the_bounds_is_refused(estate, pattern):
    answer = estate.owner("POST", estate.library.syncs, sync_body(estate, schema_mapping=mapping(pattern)))
    assert answer.status_code == 422, answer.text
    assert "schema_mapping" in answer.json()["error"]["details"]["problems"][0]["field"]


def test_globs_end_quickly(own_estate):
    filters = {"include_patterns": ["*a" * 40 + "b"], "exclude_patterns": ["[" + "a-z" * 50 + "]*" * 20]}
    syncs = own_estate.library.syncs
    made = own_estate.owner.done("POST", syncs, sync_body(own_estate, file_filters=filters))
    path = "a" * 400
    seconds, told = seconds_of(lambda: own_estate.owner("GET", f"{syncs}/{made['sync_config_id']}/explain?path={path}"))
    assert (told.status_code < 500, seconds < 5) == (True, True)


READING = ("/list", "/jobs", "/dlq", "/plan")


def needed(one):
    """The role that an operation needs, as the README says it."""
    if "/connections" in one.path or one.path == "/metrics":
        return "admin"
    return "viewer" if one.method == "GET" or one.path.endswith(READING) else "editor"


def test_every_operation_asks_for_its_role(own_estate):
    roles = ("viewer", "editor", "admin")
    callers = {role: own_estate.with_key("alpha", role) for role in roles}
    refused = 0
    for one in operations(own_estate.services):
        if one.path in ("/healthz", "/readyz"):
            continue
        path = one.filled(ids_of(own_estate.library))
        for role in roles[: roles.index(needed(one))]:
            answer = callers[role](one.method, path, one.body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "role"), (one, role)
            refused += 1
        assert callers[needed(one)](one.method, path, one.body).status_code != 403, one
    assert refused > 30


def test_keys_are_compared_as_bytes_and_in_constant_time_whatever_is_wrong(services, url, monkeypatch):
    good = make_key(services, "alpha")
    revoked = make_key(services, "alpha")
    services.open_keys().revoke(revoked)
    compared, right_one = [], hmac.compare_digest

    def compare(left, right):
        compared.append((type(left), type(right), len(left), len(right)))
        return right_one(left, right)

    monkeypatch.setattr(keys.hmac, "compare_digest", compare)
    wrong = good[:-1] + ("a" if good[-1] != "a" else "b")
    for token in (good, wrong, revoked, "sk_00000000" + "x" * 43, "short", good + "x", "\u00e9" * 20):
        compared.clear()
        status = Client(url)("GET", "/v1/buckets/x", headers={"Authorization": f"Bearer {token}".encode()}).status_code
        assert status == (404 if token == good else 401)
        # One look takes as long as any other.
        assert compared == [(bytes, bytes, 32, 32)], token


def test_no_other_site_may_read_answers_and_no_cookie_is_set(estate):
    origin = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for method, path in (("OPTIONS", "/v1/connections"), ("POST", "/v1/buckets/list"), ("GET", "/healthz")):
        told = {name.lower() for name in estate.owner(method, path, headers=origin).headers}
        assert not [name for name in told if name.startswith("access-control-") or name == "set-cookie"]
