"""Telling whether a process has ended."""

import json
import socket
import subprocess
import sys

import pytest

from mixsync_dagster.orchestration.processes import is_gone, server_is_gone, this_process

NAMED = "from mixsync_dagster.orchestration.processes import this_process; print(this_process(), flush=True); input()"


def test_this_process_is_not_gone():
    assert this_process() == this_process()
    assert not is_gone(this_process())


def test_a_process_is_gone_when_it_was_killed_even_before_anybody_asked_for_its_status():
    child = subprocess.Popen([sys.executable, "-c", NAMED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    name = child.stdout.readline().strip()
    assert not is_gone(name)
    child.kill()
    # A zombie from here until `wait`.
    child.stdout.read()
    while not is_gone(name):
        pass
    child.communicate()
    assert is_gone(name)


def test_another_process_of_the_same_number_is_another():
    assert is_gone(this_process() + "1")


@pytest.mark.parametrize("name", [None, "", "elsewhere/4026531836:1:2", "::", "elsewhere"])
def test_what_is_not_of_this_machine_is_not_known_to_be_gone(name):
    assert not is_gone(name)


def test_a_code_server_is_gone_when_nobody_listens_where_it_did(tmp_path):
    address = tmp_path / "server"
    info = json.dumps({"host": "localhost", "socket": str(address)})
    assert server_is_gone(info), "its socket is gone"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(address))
        assert server_is_gone(info), "its socket is left, as after a kill"
        server.listen()
        assert not server_is_gone(info)
    assert server_is_gone(info)


@pytest.mark.parametrize(
    "info",
    [
        None,
        "",
        "no JSON",
        "[]",
        '{"host": "localhost", "port": 4000}',
        '{"host": "elsewhere", "socket": "/tmp/x"}',
        '{"host": "localhost", "socket": 7}',
    ],
)
def test_a_code_server_that_cannot_be_looked_at_is_not_gone(info):
    assert not server_is_gone(info)
