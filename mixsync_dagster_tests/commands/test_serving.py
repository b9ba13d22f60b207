"""The commands `api` and `keys`."""

import signal
import subprocess
import sys

import httpx
import pytest
import uvicorn


def test_a_key_is_shown_once_listed_and_revoked(mixsync, home):
    made = mixsync("keys", "create", "--namespace", "media", "--role", "admin", "--description", "of ana")
    token = made.out.strip()
    assert (made.status, token.startswith("sk_")) == (0, True)
    assert "ns_media as admin" in made.err
    (listed,) = mixsync("keys", "--json").lines
    assert (listed["prefix"], listed["namespace_id"], listed["role"]) == (token[:11], "ns_media", "admin")
    assert token not in mixsync("keys").out
    assert mixsync("keys", "revoke", token[:11]).out == f"The key {token[:11]}... is revoked.\n"
    assert mixsync("keys", "list", "--json").lines[0]["revoked_at"] is not None


def test_a_key_can_be_made_for_a_script(mixsync, home):
    (made,) = mixsync("keys", "create", "--namespace", "media", "--json").lines
    assert (made["key"][:11], made["role"]) == (made["prefix"], "editor")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["create"], "--namespace: nothing is not accepted; give "),
        (["revoke"], "PREFIX: nothing is not accepted; give "),
        (["revoke", "sk_nothing"], "there is no key sk_nothing"),
        (["create", "--namespace", "a b"], "--namespace: a b is not accepted; give "),
    ],
)
def test_what_is_missing_is_told(mixsync, home, arguments, sentence):
    done = mixsync("keys", *arguments)
    assert (done.status, sentence in done.err) == (2, True), done.err


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_an_address_for_everybody_needs_a_key(mixsync, home, host, monkeypatch):
    monkeypatch.setattr(uvicorn.Server, "run", lambda self, sockets: None)
    done = mixsync("api", "--host", host, "--port", "0")
    assert done.status == 2
    assert done.err == (
        f"mixsync: --host: {host} is not accepted; give a loopback address such as 127.0.0.1, "
        "or make a key first by `mixsync keys create`.\n"
    )


def test_a_port_in_use_is_told(mixsync, home, silent_endpoint):
    done = mixsync("api", "--port", silent_endpoint.rpartition(":")[2])
    assert (done.status, "the API cannot listen on 127.0.0.1 port" in done.err) == (1, True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_ends_it(home, number):
    command = [sys.executable, "-m", "mixsync_dagster.cli", "api", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline()
        url = said.split()[4].removesuffix("/v1,")
        with httpx.Client(base_url=url, trust_env=False, timeout=20) as client:
            answer = client.get("/readyz")
            assert (answer.json(), "server" in answer.headers) == ({"status": "ok"}, False)
            assert client.get("/readyz", headers={"X-Long": "x" * 100_000}).status_code in (400, 431)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "The API has stopped.\n")
    assert "Traceback" not in err
