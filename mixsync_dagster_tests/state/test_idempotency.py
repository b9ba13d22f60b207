"""Requests that name themselves, on both databases."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from mixsync_dagster.ports.idempotency import Begun, Named, Standing

NAME = Named("int_a:ns_a:usr_a", "key-1")
_BEGIN = """
import sys
from mixsync_dagster.ports.idempotency import Named
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
clock = SimulatedClock()
store = SqlStateStore.open(sys.argv[1], clock=clock, key=b"k" * 32)
store.end_request(Named("warm", "up"), "t", forget=True)
print("ready", flush=True)
sys.stdin.readline()
begun = store.begin_request(
    Named("scope", "key"), fingerprint="f", reserved=sys.argv[2], token=sys.argv[2], hold_seconds=60,
    keep_since=clock.now(),
)
print(begun.standing, begun.reserved)
"""


@pytest.fixture
def begin(store, clock):
    def begun(name=NAME, fingerprint="f", reserved="id-1", token="t-1"):
        return store.begin_request(
            name,
            fingerprint=fingerprint,
            reserved=reserved,
            token=token,
            hold_seconds=60,
            keep_since=clock.now() - timedelta(hours=24),
        )

    return begun


def test_the_answer_is_kept_for_its_key(store, begin):
    assert begin() == Begun(Standing.NEW, "id-1")
    assert begin(reserved="id-2", token="t-2") == Begun(Standing.RUNNING, "id-1")
    store.finish_request(NAME, "t-1", status=200, body='{"a":"\\u0000"}')
    assert begin(token="t-3") == Begun(Standing.DONE, "id-1", 200, '{"a":"\\u0000"}')


def test_another_request_with_the_key_is_told_apart(store, begin):
    begin()
    assert begin(fingerprint="g").standing is Standing.DIFFERENT
    store.finish_request(NAME, "t-1", status=200, body="{}")
    assert begin(fingerprint="g").standing is Standing.DIFFERENT


def test_keys_are_those_of_their_scope(begin):
    begin()
    assert begin(Named("int_a:ns_b:usr_a", "key-1")).standing is Standing.NEW
    assert begin(Named("int_a:ns_a:usr_a", "key-\x00")).standing is Standing.NEW


def test_a_refused_request_is_forgotten(store, begin):
    begin()
    store.end_request(NAME, "t-1", forget=True)
    assert begin(fingerprint="g", reserved="id-2") == Begun(Standing.NEW, "id-2")


def test_what_nobody_works_on_any_more_is_resumed_under_its_id(store, begin, clock):
    begin()
    clock.advance(61)
    assert begin(reserved="id-2", token="t-2") == Begun(Standing.RESUMED, "id-1")
    assert begin(token="t-3").standing is Standing.RUNNING
    # The first one comes late: its right has gone.
    store.finish_request(NAME, "t-1", status=200, body='"first"')
    store.end_request(NAME, "t-1", forget=True)
    assert begin(token="t-3").standing is Standing.RUNNING
    store.end_request(NAME, "t-2", forget=False)
    clock.advance(1)
    assert begin(token="t-3") == Begun(Standing.RESUMED, "id-1")
    store.finish_request(NAME, "t-3", status=200, body='"third"')
    store.end_request(NAME, "t-3", forget=True)
    assert begin().body == '"third"'


def test_answers_are_forgotten_after_their_time(store, begin, clock):
    begin()
    store.finish_request(NAME, "t-1", status=200, body="{}")
    clock.advance(24 * 3600 - 1)
    assert begin().standing is Standing.DONE
    clock.advance(2)
    assert begin().standing is Standing.NEW


def test_of_two_processes_at_once_one_carries_it_out(url):
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _BEGIN, url, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for name in ("a", "b", "c")
    ]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    told = sorted(process.communicate(timeout=60)[0].split() for process in started)
    [first] = [reserved for standing, reserved in told if standing == "new"]
    assert told == [["new", first], ["running", first], ["running", first]]
