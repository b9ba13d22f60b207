"""What a stranger's connection cannot reach: this machine, its network, its cloud's metadata, and its identity."""

import http.server
import json
import socket
import threading
from contextlib import contextmanager

import pytest

from mixsync_dagster.errors import ConfigurationError, InvalidInput
from mixsync_dagster.model.connections import StorageConnectionCreateRequest
from mixsync_dagster.model.validation import parse
from mixsync_dagster.reaching import check_reach
from mixsync_dagster_tests.api.serving import Client, connection_body, make_key, opened_home, serving
from mixsync_dagster_tests.model.samples import CONFIGS
from mixsync_dagster_tests.support.canaries import private_key_pem

PEM = private_key_pem()
PUBLIC = "93.184.215.14"
FIELDS = {
    "s3 endpoint_url": ("s3", "endpoint_url"),
    "tigris endpoint_url": ("tigris", "endpoint_url"),
    "drive api_endpoint": ("google_drive", "api_endpoint"),
    "drive token_uri": ("google_drive", "credentials.token_uri"),
    "graph_endpoint": ("sharepoint", "graph_endpoint"),
    "authority_host": ("sharepoint", "authority_host"),
    "snowflake host": ("snowflake", "host"),
}
INSIDE = (
    "127.0.0.1", "localhost", "127.1.2.3", "[::1]", "169.254.169.254", "10.0.0.7", "172.16.3.4", "192.168.1.1",
    "100.64.0.1", "0.0.0.0", "[fd00:ec2::254]", "[fe80::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "2130706433",
    "0x7f000001", "127.1", "168.63.129.16",
)  # fmt: skip


@contextmanager
def listening():
    """Give a port on this machine, and the connections that it got."""
    met = []
    server = socket.create_server(("127.0.0.1", 0))

    def accept():
        while True:
            try:
                met.append(server.accept()[0])
            except OSError:
                return
            met[-1].close()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield server.getsockname()[1], met
    finally:
        server.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A server where nothing is allowed beyond the public addresses."""
    with opened_home(tmp_path_factory.mktemp("reach"), allowed=()) as services, serving(services) as url:
        yield services, url


@pytest.fixture
def services(place):
    return place[0]


@pytest.fixture
def stranger(place):
    return Client(place[1], make_key(place[0], "alpha"))


@pytest.fixture
def operator(place):
    return Client(place[1], make_key(place[0], "default", organisation="local"))


def body_of(provider, field, host, port=None, *, name="c", **more):
    config = json.loads(json.dumps(CONFIGS[provider]))
    if provider == "google_drive":
        config["credentials"]["private_key"] = PEM
    address = host if field == "host" else f"https://{host}" + (f":{port}" if port else "")
    if field == "host":
        config |= {"host": host} | ({"port": port} if port else {})
    elif field.startswith("credentials."):
        config["credentials"][field.removeprefix("credentials.")] = address
    else:
        config[field] = address
    return {"name": name, "provider_type": provider, "provider_config": config, "test_before_save": False, **more}


@pytest.mark.parametrize("host", INSIDE)
@pytest.mark.parametrize("asked", FIELDS)
def test_an_inner_address_is_refused_at_its_field(stranger, asked, host):
    provider, field = FIELDS[asked]
    answer = stranger("POST", "/v1/connections", body_of(provider, field, host))
    assert answer.status_code == 422, answer.text
    [problem] = answer.json()["error"]["details"]["problems"]
    assert problem["field"] == f"provider_config.{field}"
    assert "MIXSYNC_ALLOWED_ADDRESSES" in problem["message"]


def resolving(monkeypatch, answers):
    """Let names stand at these addresses, the next one with each look-up, the last one for ever."""
    asked = []
    real = socket.getaddrinfo

    def look_up(host, port, *args, **options):
        # With the bucket in front, too.
        found = next((found for name, found in answers.items() if f".{host}".endswith(f".{name}")), None)
        if found is None:
            return real(host, port, *args, **options)
        asked.append(host)
        address = found.pop(0) if len(found) > 1 else found[0]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


def test_what_a_name_stands_for_inside_is_not_told(stranger, monkeypatch):
    resolving(monkeypatch, {"db.corp.example": ["10.20.30.40"]})
    answer = stranger("POST", "/v1/connections", body_of("s3", "endpoint_url", "db.corp.example"))
    assert answer.status_code == 422
    assert "db.corp.example is not connected to, for it stands at no public address" in answer.text
    assert "10.20" not in answer.text


SIGN_IN_FIRST = {"drive api_endpoint", "graph_endpoint", "snowflake host"}
REBOUND = {name: asked for name, asked in FIELDS.items() if name not in SIGN_IN_FIRST}


@pytest.mark.parametrize("asked", REBOUND)
def test_a_name_that_stands_elsewhere_when_it_is_connected_to_is_refused(stranger, monkeypatch, asked):
    provider, field = REBOUND[asked]
    with listening() as (port, met):
        # Public when it is saved and when it is looked at, and inside when the connection is made.
        looked_up = resolving(monkeypatch, {"rebind.example": [PUBLIC, PUBLIC, "127.0.0.1"]})
        name = f"rebound-{asked.replace(' ', '-')}"
        made = stranger.done("POST", "/v1/connections", body_of(provider, field, "rebind.example", port, name=name))
        tested = stranger.done("POST", f"/v1/connections/{made['connection_id']}/test")
        refused = "rebind.example is not connected to, for it stands at no"
        assert (tested["success"], refused in tested["message"]) == (False, True), tested
        assert len(looked_up) > 2
        assert met == []


def test_a_snowflake_host_has_to_be_snowflakes_own(stranger, monkeypatch):
    # Its client connects by itself, also to wherever its server says.
    resolving(monkeypatch, {"public.example": [PUBLIC]})
    made = stranger.done("POST", "/v1/connections", body_of("snowflake", "host", "public.example", name="flake"))
    tested = stranger.done("POST", f"/v1/connections/{made['connection_id']}/test")
    assert "give one under snowflakecomputing.com" in tested["message"]


def test_a_run_is_refused_as_well(services, stranger):
    with listening() as (port, met):
        request = parse(StorageConnectionCreateRequest, connection_body(f"http://127.0.0.1:{port}", "older"))
        from mixsync_dagster.model.connections import new_connection

        connection, credentials = new_connection(
            request,
            connection_id="conn_older",
            internal_id="int_acme",
            created_by_user_id="usr_a",
            now=services.clock.now(),
        )
        services.store.save_connection(connection, credentials=credentials)
        with pytest.raises(InvalidInput, match=r"endpoint_url: the host 127.0.0.1 is not connected to"):
            services.provider_for("conn_older", "media")
        bucket = stranger.done("POST", "/v1/buckets", {"bucket_name": "older"})["bucket_id"]
        sync = {"connection_id": "conn_older", "source_path": "media"}
        assert stranger("POST", f"/v1/buckets/{bucket}/syncs", sync).status_code == 422
        assert met == []


class Redirecting(http.server.BaseHTTPRequestHandler):
    target = ""

    def do_GET(self):
        self.send_response(307)
        self.send_header("Location", self.target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_GET  # noqa: N815 - the server's names

    def log_message(self, *_):
        pass


def test_a_redirect_leads_nowhere(tmp_path):
    with listening() as (port, met), opened_home(tmp_path) as services, serving(services) as url:
        handler = type("To", (Redirecting,), {"target": f"http://127.0.0.1:{port}/latest/meta-data/"})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        caller = Client(url, make_key(services, "alpha"))
        answer = caller("POST", "/v1/connections", connection_body(f"http://127.0.0.1:{server.server_port}"))
        server.shutdown()
        server.server_close()
        assert (answer.status_code, met) == (422, []), answer.text


def test_metadata_is_refused_to_everybody(operator):
    for host in ("169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "100.100.100.200", "168.63.129.16"):
        answer = operator("POST", "/v1/connections", body_of("s3", "endpoint_url", host))
        assert (answer.status_code, "where clouds keep the metadata" in answer.text) == (422, True), answer.text


def test_whoever_operates_reaches_this_machine(operator):
    with listening() as (port, met):
        body = connection_body(f"http://127.0.0.1:{port}", "own", test_before_save=False)
        made = operator.done("POST", "/v1/connections", body)
        operator.done("POST", f"/v1/connections/{made['connection_id']}/test")
        assert met != []


ROLE = {"type": "iam_role", "role_arn": "arn:aws:iam::123456789012:role/any", "external_id": "external-id"}


def role_body(name):
    return {
        "name": name,
        "provider_type": "s3",
        "provider_config": {"credentials": ROLE},
        "test_before_save": False,
    }


def test_a_role_is_not_assumed_for_strangers(services, stranger, operator):
    answer = stranger("POST", "/v1/connections", role_body("role"))
    [problem] = answer.json()["error"]["details"]["problems"]
    assert (answer.status_code, problem["field"]) == (422, "provider_config.credentials.type")
    made = stranger.done(
        "POST", "/v1/connections", connection_body(f"https://{PUBLIC}", "keys", test_before_save=False)
    )
    patch = {"provider_config": {"credentials": ROLE}}
    assert stranger("PATCH", f"/v1/connections/{made['connection_id']}", patch).status_code == 422
    assert operator.done("POST", "/v1/connections", role_body("role"))["name"] == "role"
    config = parse(StorageConnectionCreateRequest, role_body("role")).provider_config
    with pytest.raises(ConfigurationError, match="machine's own identity"):
        services.check_source(config, "media", internal_id="int_acme")


def test_a_setting_lets_strangers_assume_roles(services):
    from dataclasses import replace

    config = parse(StorageConnectionCreateRequest, role_body("role")).provider_config
    check_reach(config, replace(services.settings, tenant_roles=True), "int_acme")


@pytest.mark.parametrize(
    ("provider", "field", "value"),
    [
        ("s3", "region", "x@169.254.169.254/#"),
        ("s3", "region", "a.evil.example"),
        ("tigris", "region", "a/b"),
        ("snowflake", "account", "evil.example/x#"),
        ("snowflake", "account", "a:80@b"),
    ],
)
def test_what_becomes_a_part_of_a_host_holds_nothing_else(stranger, provider, field, value):
    body = {"name": "x", "provider_type": provider, "provider_config": {**CONFIGS[provider], field: value}}
    answer = stranger("POST", "/v1/connections", body)
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["error"]["details"]["problems"]] == [f"provider_config.{field}"]


MOVES = {
    "drive api_endpoint": ("google_drive", {"api_endpoint": f"https://{PUBLIC}/drive/v3/"}),
    "drive token_uri": (
        "google_drive",
        {"credentials": {"type": "service_account", "token_uri": f"https://{PUBLIC}/t"}},
    ),
    "graph_endpoint": ("sharepoint", {"graph_endpoint": f"https://{PUBLIC}"}),
    "authority_host": ("sharepoint", {"authority_host": f"https://{PUBLIC}"}),
    "snowflake account": ("snowflake", {"account": "another", "warehouse": "W"}),
    "snowflake host": ("snowflake", {"account": "xy12345.us-east-1", "warehouse": "W", "host": PUBLIC}),
}


@pytest.mark.parametrize("move", MOVES)
def test_kept_secrets_are_not_sent_to_another_host(stranger, move):
    provider, change = MOVES[move]
    body = {"name": f"kept {move}", "provider_type": provider, "provider_config": CONFIGS[provider]}
    made = stranger.done("POST", "/v1/connections", {**body, "test_before_save": False})["connection_id"]
    answer = stranger("PATCH", f"/v1/connections/{made}", {"provider_config": change})
    assert answer.status_code == 422, answer.text
    assert "give the secret again, for" in answer.text
    credentials = {**CONFIGS[provider]["credentials"], **change.get("credentials", {})}
    again = stranger("PATCH", f"/v1/connections/{made}", {"provider_config": {**change, "credentials": credentials}})
    assert again.status_code == 200, again.text


def test_secrets_are_kept_where_nothing_moves(stranger, services):
    made = stranger.done(
        "POST",
        "/v1/connections",
        {
            "name": "still",
            "provider_type": "snowflake",
            "provider_config": CONFIGS["snowflake"],
            "test_before_save": False,
        },
    )["connection_id"]
    kept = {name: value for name, value in CONFIGS["snowflake"].items() if name != "credentials"}
    stranger.done("PATCH", f"/v1/connections/{made}", {"provider_config": {**kept, "fetch_size": 500}})
    assert services.store.credentials_of(made) == CONFIGS["snowflake"]["credentials"]
