"""No secret comes back: not in an answer, an error, a log, a metric, the database, Dagster's home or its GraphQL."""

import json
import logging
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from mixsync_dagster.commands.setting_up import prepare
from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.transport.redact import RedactingFilter
from mixsync_dagster_tests.api.serving import Client, make_key, opened_home, run_once, serving
from mixsync_dagster_tests.api.test_tenants import document_of
from mixsync_dagster_tests.scenarios.conftest import make_world, moto_server, snowflake_simulator  # noqa: F401 - fixtures
from mixsync_dagster_tests.scenarios.preloaded import resolve_local_names
from mixsync_dagster_tests.scenarios.table import put_base
from mixsync_dagster_tests.scenarios.test_secrets import ACCEPTED, HANDED_OUT, REFUSED, canary_for, refuse_loudly
from mixsync_dagster_tests.support.canaries import files_below, leaks_in, make_canaries, text_place
from mixsync_dagster_tests.support.live_service import environment_of

pytestmark = pytest.mark.filterwarnings("ignore:Arrow output on a DB-API result:UserWarning")

KEY_FILE = ("secret.key",)


@dataclass(frozen=True)
class Listening(Client):
    """A caller that keeps everything that it is told."""

    told: list = field(default_factory=list)

    def __call__(self, method, path, body=None, **options):
        answer = super().__call__(method, path, body, **options)
        headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        self.told.append(text_place(f"{method} {path} {answer.status_code}", f"{headers}\n\n{answer.text}"))
        return answer


@contextmanager
def logged(path):
    """Write every log line of this process, of every library, to a file, as the command line writes its own."""
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
    handler.addFilter(RedactingFilter())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()


def config_of(world, canary):
    given = {name: value for name, value in world.connection().items() if name not in ("provider_type", "credentials")}
    return {**given, "credentials": dict(canary.credentials)}


def wrong_bodies(provider, config):
    """Requests that are refused, each with the secrets in another wrong place."""
    secrets = config["credentials"]
    body = {"name": "wrong", "provider_type": provider, "provider_config": config, "test_before_save": False}
    yield {**body, "provider_config": {**config, "credentials": {**secrets, "unknown": json.dumps(secrets)}}}
    yield {**body, "provider_config": {**config, "credentials": {**secrets, "type": secrets}}}
    yield {**body, "provider_config": {**config, "region": secrets, "site_id": secrets, "account": secrets}}
    yield {**body, "provider_config": {**config, "credentials": [secrets]}}
    yield {**body, "provider_config": [config]}
    yield {**body, "name": "", "description": ["x"], "metadata": "x"}
    yield {**body, "provider_config": {**config, "credentials": {one: [value] for one, value in secrets.items()}}}
    yield [body]


def everything(ask, document, ids):
    """Ask every operation that reads, and every list."""
    for path, methods in document["paths"].items():
        for method, told in methods.items():
            if method == "get" or path.endswith(("/list", "/jobs", "/dlq", "/test", "/plan", "/explain", "/report")):
                content = told.get("requestBody", {}).get("content", {})
                filled = path.format_map(ids)
                ask(method.upper(), filled, {} if content else None)
    for path in ("/openapi.json", "/docs", "/v1/nothing", "/v1/connections/conn_none"):
        ask("GET", path)


class Ids(dict):
    def __missing__(self, name):
        return f"any-{name}"


def sync_through(ask, world, connection_id):
    bucket = ask.done("POST", "/v1/buckets", {"bucket_name": "films"})["bucket_id"]
    body = {"connection_id": connection_id, "source_path": world.source_path, "name": "films"}
    return bucket, ask.done("POST", f"/v1/buckets/{bucket}/syncs", body)["sync_config_id"]


def tables(services):
    with services.store._database.read() as tx:
        for (name,) in tx.rows("SELECT name FROM sqlite_master WHERE type = 'table'"):
            yield text_place(f"table {name}", "\n".join(repr(row) for row in tx.rows(f'SELECT * FROM "{name}"')))


@pytest.mark.parametrize("name", [*ACCEPTED, *REFUSED])
def test_no_secret_comes_back(tmp_path, make_world, monkeypatch, name):  # noqa: F811 - fixtures
    provider, _, kind = name.partition(".")
    world = make_world(provider)
    canary = canary_for(world, kind, monkeypatch)
    put_base(world)
    if provider == "tigris":
        # Buckets stand in host names there, which not every resolver knows below localhost.
        monkeypatch.setattr(socket, "getaddrinfo", socket.getaddrinfo)
        resolve_local_names()
        for variable, value in world.environment.items():
            monkeypatch.setenv(variable, value)
    with logged(tmp_path / "server.log"), opened_home(tmp_path) as services, serving(services) as url:
        ask = Listening(url, make_key(services, "default", organisation="local"))
        config = config_of(world, canary)
        for wrong in wrong_bodies(provider, config):
            assert ask("POST", "/v1/connections", wrong).status_code in (400, 422)
        body = {"name": "media", "provider_type": provider, "provider_config": config}
        if name in REFUSED:
            assert ask("POST", "/v1/connections", body).status_code == 422
            refuse_loudly(world, canary)
        # Tigris' stand-in knows no bucket but its own.
        tested = name in ACCEPTED and provider != "tigris"
        made = ask.done("POST", "/v1/connections", {**body, "test_before_save": tested})["connection_id"]
        path = f"/v1/connections/{made}"
        assert ask("POST", "/v1/connections", {**body, "test_before_save": False}).status_code == 409
        ids = Ids(connection_identifier=made)
        ask.done("PATCH", path, {"provider_config": config, "description": "again"})
        for wrong in wrong_bodies(provider, config):
            ask("PATCH", path, wrong)
        if name in ACCEPTED:
            ids["bucket_id"], ids["sync_config_id"] = sync_through(ask, world, made)
            ids["sync_job_id"] = run_once(services, ids["sync_config_id"], "run_good")
            assert ask.done("POST", f"{path}/test")["success"] is True
            refuse_loudly(world, canary)
            for service in (getattr(world, one, None) for one in ("drive", "graph")):
                if service is not None:
                    service.sign_in.revoke()
            with pytest.raises(MixsyncError):
                run_once(services, ids["sync_config_id"], "run_bad")
            sync = f"/v1/buckets/{ids['bucket_id']}/syncs/{ids['sync_config_id']}"
            assert ask.done("GET", f"{sync}/jobs/run_bad")["status"] == "failed"
            assert ask.done("GET", sync)["last_error"]
        assert ask.done("POST", f"{path}/test")["success"] is False
        everything(ask, document_of(services), ids)
        again = {"connection_id": made, "source_path": world.source_path}
        ask("POST", f"/v1/buckets/{ids['bucket_id']}/syncs", again)
        ask.done("GET", path)
        assert len(ask.told) > 40
        kept = [*tables(services), *files_below(tmp_path, without=KEY_FILE)]
    assert leaks_in([canary], ask.told) == []
    assert leaks_in([canary, HANDED_OUT], kept) == []


def test_credentials_of_every_type_go_in_and_do_not_come_back(tmp_path):
    from mixsync_dagster_tests.model.samples import CONFIGS

    canaries = make_canaries()
    with logged(tmp_path / "server.log"), opened_home(tmp_path) as services, serving(services) as url:
        ask = Listening(url, make_key(services, "default", organisation="local"))
        for canary in canaries:
            base = {name: value for name, value in CONFIGS[canary.provider_type].items() if name != "credentials"}
            config = {**base, "credentials": canary.credentials}
            body = {"name": canary.name, "provider_type": canary.provider_type, "provider_config": config}
            made = ask.done("POST", "/v1/connections", {**body, "test_before_save": False})
            assert made["provider_config"]["credentials"] == {"type": canary.credentials["type"]}
            assert services.store.credentials_of(made["connection_id"]) == canary.credentials | {
                name: value
                for name, value in services.store.credentials_of(made["connection_id"]).items()
                if name not in canary.needles
            }
            ask.done("GET", f"/v1/connections/{made['connection_id']}")
            ask.done("DELETE", f"/v1/connections/{made['connection_id']}")
        ask.done("POST", "/v1/connections/list")
        assert leaks_in(canaries, [*ask.told, *tables(services), *files_below(tmp_path, without=KEY_FILE)]) == []


_RUNS = """
{ runsOrError { __typename ... on Runs { results { runId status runConfigYaml tags { key value }
    eventConnection { events { __typename
        ... on MessageEvent { message } ... on ErrorEvent { error { message stack } } } }
} } } }
"""


def graphql(folder, query):
    command = [
        sys.executable,
        "-c",
        "from dagster_graphql.cli import main; main()",
        "-m",
        "mixsync_dagster.definitions",
        "-t",
        query,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment_of(folder), cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def execute(folder, sync):
    config = folder / "run.yaml"
    config.write_text(json.dumps({"sync": sync}))
    command = ["dagster", "job", "execute", "-m", "mixsync_dagster.definitions", "-j", "sync_bucket", "-c", str(config)]
    done = subprocess.run(
        [sys.executable, "-m", *command], capture_output=True, text=True, check=False, env=environment_of(folder)
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_dagster_tells_no_secret_of_runs_of_what_the_api_made(tmp_path, make_world, monkeypatch):  # noqa: F811
    world = make_world("s3")
    canary = canary_for(world, "access_key", monkeypatch)
    put_base(world)
    with opened_home(tmp_path) as opened:
        home = tmp_path / ".mixsync"
        settings = replace(opened.settings, home=home, database_url=f"sqlite:///{home / 'state.db'}")
    prepare(settings, instance=home / "dagster")
    from mixsync_dagster.wiring import Services

    with Services.open(settings) as services, serving(services) as url:
        ask = Listening(url, make_key(services, "default", organisation="local"))
        body = {"name": "media", "provider_type": "s3", "provider_config": config_of(world, canary)}
        made = ask.done("POST", "/v1/connections", body)["connection_id"]
        _, sync = sync_through(ask, world, made)
    outputs = []
    for refused in (False, True):
        if refused:
            refuse_loudly(world, canary)
        status, output = execute(tmp_path, sync)
        outputs.append(output)
        assert (status != 0) is refused, output
    told = graphql(tmp_path, _RUNS)
    assert told.count('"runId"') == 2
    places = [text_place("graphql", told), *(text_place("output", one) for one in outputs)]
    assert leaks_in([canary, HANDED_OUT], [*places, *files_below(home, without=KEY_FILE)]) == []


PLANTS = ("answer", "error", "log", "database", "metrics")


@pytest.mark.parametrize("where", PLANTS)
def test_a_planted_leak_is_found(tmp_path, make_world, monkeypatch, where):  # noqa: F811 - fixtures
    world = make_world("s3")
    canary = canary_for(world, "access_key", monkeypatch)
    marker = canary.credentials["secret_access_key"]
    put_base(world)
    with logged(tmp_path / "server.log"), opened_home(tmp_path) as services, serving(services) as url:
        ask = Listening(url, make_key(services, "default", organisation="local"))
        body = {"name": "media", "provider_type": "s3", "provider_config": config_of(world, canary)}
        made = ask.done("POST", "/v1/connections", body)["connection_id"]
        if where == "answer":
            ask.done("PATCH", f"/v1/connections/{made}", {"description": f"the key is {marker}"})
        elif where == "error":
            ask("GET", f"/v1/connections/{marker}")
        elif where == "log":
            logging.getLogger("any").warning("failed with %s", marker)
        elif where == "database":
            services.store.connection_used(made, error=f"refused {marker}")
        else:
            bucket, _ = sync_through(ask, world, made)
            ask.done(
                "POST",
                f"/v1/buckets/{bucket}/syncs",
                {"connection_id": made, "source_path": world.source_path, "name": marker},
            )
        everything(ask, document_of(services), Ids(connection_identifier=made))
        found = leaks_in([canary], [*ask.told, *tables(services), *files_below(tmp_path, without=KEY_FILE)])
    expected = {
        "answer": "PATCH /v1/connections/",
        "error": f"GET /v1/connections/{marker} 404",
        "log": f"{tmp_path}/server.log",
        "database": f"{tmp_path}/home/state.db",
        "metrics": "GET /metrics 200",
    }[where]
    assert any(one.startswith(expected) for one in found), found
