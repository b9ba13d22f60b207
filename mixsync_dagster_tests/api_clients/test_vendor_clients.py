"""The vendor's own generated clients, as they are published, against a running product."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mixsync_dagster_tests.support.environments import environment_with
from mixsync_dagster_tests.support.s3_servers import ACCESS_KEY, SECRET_KEY, new_bucket

PROGRAM = Path(__file__).with_name("vendor_session.py")
VERSIONS = ("1.3.783", "0.81.1")
"""The newest, and that of the API whose page this project began from."""
SESSION_SECONDS = 400

pytestmark = [pytest.mark.slow, pytest.mark.timeout(700)]

SEEN = {
    "connections": {
        "id_form": True,
        "credentials": {"type": "access_key"},
        "status": "ACTIVE",
        "same": True,
        "tested": True,
        "listed": [1, 1, True],
        "description": "films and more",
    },
    "sync": {
        "mode": "continuous",
        "interval": 30,
        "target": "field",
        "excluded": ["*.tmp"],
        "listed": [1, True],
        "changed": [20, {"team": "b"}],
        "paused": ["SUSPENDED", True, False],
        "refused": ["ConflictException", 409, "ConflictError", False],
        "resumed": [False, True],
    },
    "job": ["completed", 2, 3],
    "numbers": {
        "total_files_synced": 2,
        "dlq_by_error": {"schema_mismatch": 1},
        "healthy": True,
        "is_stale": False,
        "counted": True,
        "states": ["completed"],
        "synced": 2,
    },
    "contents": {
        "objects": 2,
        "owners": ["ana", "ben"],
        "blob": ["content", "text"],
        "bytes": [4, 10],
        "batch": ["COMPLETED", 1, 2],
        "task": "COMPLETED",
        "bucket": 2,
        "buckets": 1,
    },
    "analytics": {
        "run": [3, 2, "s3"],
        "sync": [True, 2],
        "errors": ["schema_mismatch"],
        "stuck": [],
    },
    "refusals": {
        "unknown sync": ["NotFoundException", 404, "NotFoundError", True],
        "bad path": ["UnprocessableEntityException", 422, "ValidationError", True],
        "name taken": ["ConflictException", 409, "ConflictError", False],
        "wrong key": ["UnauthorizedException", 401, "UnauthorizedError", True],
    },
    "dead_letters": {
        "letter": ["schema_mismatch", 3, True],
        "path": "films/c.txt",
        "requeued": {"requeued": 1},
        "waiting": [[0, False]],
        "given_up": {"updated": 1},
        "left": 0,
    },
    "end": {
        "deleted": True,
        "gone": ["NotFoundException", 404, "NotFoundError", True],
        "archived": True,
        "left": 0,
    },
}
"""What each client's models hold after each step; of 409 their API declares no body, so that it stays unread."""


@pytest.fixture(scope="module")
def sessions(service, moto_server):
    """The sessions of all versions, each with its own key, namespace and files; they run at once."""
    pythons = {version: environment_with(f"mixpeek=={version}") for version in VERSIONS}

    def session(version):
        files = new_bucket(moto_server)
        files.put("films/a.txt", b"0123456789", Metadata={"owner": "ana"})
        files.put("films/b.txt", b"beta", Metadata={"owner": "ben"})
        files.put("films/c.txt", b"gamma, of nobody")
        namespace = f"client-{version.replace('.', '-')}"
        given = {
            "url": service.url,
            # An organisation each: names of connections are unique in one.
            "key": service.new_key(namespace, organisation=namespace),
            "namespace": namespace,
            "endpoint_url": moto_server.endpoint_url,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
            "source_path": f"{files.name}/films",
        }
        command = [str(pythons[version]), "-I", str(PROGRAM)]
        return subprocess.run(
            command, input=json.dumps(given), capture_output=True, text=True, check=False, timeout=SESSION_SECONDS
        )

    with ThreadPoolExecutor(len(VERSIONS)) as pool:
        yield {version: pool.submit(session, version) for version in VERSIONS}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_vendors_client_does_everything_it_knows(sessions, version):
    done = sessions[version].result()
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told.pop("version") == version
    for step, seen in SEEN.items():
        assert told.pop(step) == seen, step
    assert told == {}
