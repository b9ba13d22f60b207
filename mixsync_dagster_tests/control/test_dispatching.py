import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from mixsync_dagster.control.dispatching import Work, find_work, next_look_at
from mixsync_dagster.errors import ProviderUnavailable, RateLimited
from mixsync_dagster.model.progress import Checkpoint, PassKind, Trigger
from mixsync_dagster.model.syncs import SyncConfiguration
from mixsync_dagster.ports.control import Dispatch
from mixsync_dagster.ports.provider import Probe
from mixsync_dagster.testing.clock import SimulatedClock

START = datetime(2026, 1, 1, tzinfo=UTC)


def sync(sync_config_id, **values):
    known = {
        "connection_id": "conn_a",
        "source_path": "media",
        "sync_config_id": sync_config_id,
        "name": sync_config_id,
        "bucket_id": "bkt_a",
        "internal_id": "int_a",
        "namespace_id": "ns_a",
        "created_by_user_id": "usr_a",
        "created_at": START - timedelta(days=2),
        "updated_at": START,
        "last_sync_at": START - timedelta(hours=1),
        "next_sync_at": START,
        "polling_interval_seconds": 100,
    }
    return SyncConfiguration.model_validate(known | values)


class Store:
    """Due syncs, claims and postponements in memory."""

    def __init__(self, *syncs):
        self.syncs = syncs
        self.checkpoints = {}
        self.waiting = set()
        self.claimed_by_others = set()
        self.postponed = {}
        self.asked = []

    def due_syncs(self, *, limit, exclude=(), only=None):
        self.asked.append((limit, tuple(exclude), only))
        return self.syncs[:limit]

    def requested_syncs(self, *, limit, exclude=()):
        return []

    def dispatch_number(self, sync_config_id):
        return 7

    def claim_dispatch(self, sync_config_id, *, expected_number):
        if sync_config_id in self.claimed_by_others:
            return None
        return Dispatch(sync_config_id, expected_number + 1, Trigger.SCHEDULED, full_sync=False)

    def take_up_dispatch(self, sync_config_id, number):
        return True

    def postpone(self, sync_config_id, next_sync_at):
        self.postponed[sync_config_id] = next_sync_at

    def load_checkpoint(self, sync_config_id):
        return self.checkpoints.get(sync_config_id)

    def list_dead_letters(self, sync_config_id, *, state=None, error_type=None, after=None, limit=100):
        return ["a letter"] if state == "waiting" and sync_config_id in self.waiting else []


class Probes:
    """Answers by sync id; an error is raised; what is absent may not be asked."""

    def __init__(self, answers):
        self.answers = answers
        self.seconds = {}

    def __call__(self, one, seconds):
        self.seconds[one.sync_config_id] = seconds
        answer = self.answers[one.sync_config_id]
        if isinstance(answer, Exception):
            raise answer
        return answer


def found(store, answers=None, clock=None, **options):
    return find_work(store, Probes(answers or {}), clock or SimulatedClock(), limit=10, **options)


def keys(work):
    return [dispatch.run_key for dispatch in work.dispatches]


def test_nothing_due_asks_nobody():
    assert found(Store()) == Work([], [], 0)


def test_a_changed_sync_is_claimed_and_an_unchanged_one_is_due_later():
    store = Store(sync("a"), sync("b"))
    work = found(store, {"a": Probe.CHANGED, "b": Probe.NOTHING_NEW})
    assert (keys(work), work.unchanged, work.undecided) == (["a:8"], 1, [])
    assert list(store.postponed) == ["b"]


def test_an_unchanged_sync_waits_its_interval_and_at_most_a_twentieth_more():
    store = Store(*(sync(f"s{number}") for number in range(50)))
    find_work(store, lambda *_: Probe.NOTHING_NEW, SimulatedClock(), limit=50)
    waits = [(moment - START).total_seconds() for moment in store.postponed.values()]
    assert 100 <= min(waits) < max(waits) <= 105
    assert len(set(waits)) > 40


def test_a_repeat_computes_the_same_time():
    assert next_look_at(sync("a"), START) == next_look_at(sync("a"), START)


def test_a_scheduled_sync_keeps_its_rhythm():
    scheduled = sync("a", sync_mode="scheduled", created_at=START - timedelta(seconds=250))
    assert next_look_at(scheduled, START) == START + timedelta(seconds=50)
    assert next_look_at(scheduled, START + timedelta(seconds=50)) == START + timedelta(seconds=150)


@pytest.mark.parametrize(
    "values",
    [
        {"sync_mode": "one_time"},
        {"sync_mode": "initial_only"},
        {"pending_full_sync": True},
        {"last_sync_at": None},
        {"last_sync_at": START - timedelta(days=1)},
        {"consecutive_failures": 1},
    ],
)
def test_a_sync_with_reason_to_run_is_claimed_without_being_probed(values):
    assert keys(found(Store(sync("a", **values)))) == ["a:8"]


def test_an_unfinished_pass_goes_on_without_a_probe():
    store = Store(sync("a"))
    store.checkpoints["a"] = Checkpoint(pass_number=1, kind=PassKind.FULL_LISTING, cursor="here")
    assert keys(found(store)) == ["a:8"]


def test_waiting_dead_letters_are_tried_again_without_a_probe():
    store = Store(sync("a"), sync("b"))
    store.waiting.add("a")
    assert keys(found(store, {"b": Probe.NOTHING_NEW})) == ["a:8"]


def test_what_somebody_else_claimed_is_not_started():
    store = Store(sync("a"), sync("b"))
    store.claimed_by_others.add("a")
    assert keys(found(store, {"a": Probe.CHANGED, "b": Probe.CHANGED})) == ["b:8"]


def test_what_a_probe_cannot_tell_is_undecided_and_stays_due():
    store = Store(sync("a"))
    work = found(store, {"a": Probe.UNKNOWN})
    assert (work, store.postponed) == (Work([], ["a"], 0), {})


def test_a_caller_with_time_claims_what_is_undecided():
    assert keys(found(Store(sync("a")), {"a": Probe.UNKNOWN}, dispatch_undecided=True)) == ["a:8"]


def test_a_probe_that_raises_counts_as_changed_and_its_words_stay_unsaid(caplog):
    store = Store(sync("a"), sync("b"))
    answers = {"a": ProviderUnavailable("nobody"), "b": ValueError("http://host/?token=s3cret")}
    assert keys(found(store, answers)) == ["a:8", "b:8"]
    assert "sync b could not be probed (ValueError)" in caplog.text
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(("asked", "seconds"), [(30.0, 30), (None, 100), (86_400.0, 900)])
def test_a_sync_whose_provider_asks_to_slow_down_is_due_again_when_it_may_be_asked(asked, seconds):
    store, clock = Store(sync("a")), SimulatedClock()
    work = found(store, {"a": RateLimited("slow down.", retry_after_seconds=asked)}, clock)
    assert (keys(work), work.waiting, work.unchanged) == ([], 1, 0)
    assert store.postponed == {"a": clock.now() + timedelta(seconds=seconds)}


def test_probes_get_what_is_left_of_the_budget():
    clock = SimulatedClock()
    probes = Probes({"a": Probe.CHANGED})
    find_work(Store(sync("a")), probes, clock, limit=10, budget_seconds=3.0)
    assert probes.seconds == {"a": 3.0}


def test_probes_run_at_once_and_a_late_one_is_left_behind():
    both, over = threading.Barrier(2, timeout=10), threading.Event()
    clock = SimulatedClock()

    def probe(one, _seconds):
        both.wait()
        if one.sync_config_id == "slow":
            over.wait(10)
        return Probe.CHANGED

    work = find_work(Store(sync("slow"), sync("fast")), probe, clock, limit=10, budget_seconds=0.5)
    over.set()
    assert (keys(work), work.undecided) == (["fast:8"], ["slow"])


def test_without_a_budget_nothing_is_probed():
    work = found(Store(sync("a"), sync("b", last_sync_at=None)), budget_seconds=0.0)
    assert (keys(work), work.undecided) == (["b:8"], ["a"])


def test_scope_and_limit_go_to_the_store():
    store = Store()
    found(store, only=["a"], exclude=["b"])
    assert store.asked == [(10, ("b",), ["a"])]


def test_a_dispatch_says_which_run_it_is():
    assert replace(Dispatch("a", 3, Trigger.MANUAL, full_sync=True), number=4).run_key == "a:4"
