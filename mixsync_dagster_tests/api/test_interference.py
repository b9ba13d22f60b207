"""What others do changes nothing of what one is told: no list, count, analysis, metric, name or error knows of it."""

import json
import re

import pytest

from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster.model.tenants import Namespace
from mixsync_dagster.reaching import is_local
from mixsync_dagster.state.store import SqlStateStore
from mixsync_dagster.testing.clock import SimulatedClock
from mixsync_dagster.wiring import Services
from mixsync_dagster_tests.api.serving import Client, connection_body, make_key, make_library, opened_home, serving
from mixsync_dagster_tests.api.test_tenants import ids_of, operations

READS = {"list", "jobs", "dlq", "plan", "explain", "report", "test"}
_REQUEST = re.compile(r'"request_id":"req_[0-9a-f]+"')


class World:
    """A stranger with a library, and somebody else who has one of his own and goes on working. Time stands still."""

    def __init__(self, services, url, source):
        self.services, self.source = services, source
        self.stranger = Client(url, make_key(services, "beta", organisation="bravo"))
        self.victim = Client(url, make_key(services, "alpha"))
        self.own = make_library(services, self.stranger, source.endpoint_url, run="run_own")
        self.foreign = make_library(services, self.victim, source.endpoint_url, run="run_foreign")

    def answers(self):
        """Everything that the stranger can read of his own, without what is new with every request."""
        told = {}
        for one in operations(self.services):
            if one.method == "GET" or one.path.rsplit("/", 1)[1] in READS:
                path = one.filled(ids_of(self.own))
                for asked in (path, f"{path}{'&' if one.query else '?'}include_total=true&limit=1"):
                    told[f"{one.method} {asked}"] = _REQUEST.sub("", self.stranger(one.method, asked, one.body).text)
        assert len(told) > 40
        assert sum(len(text) for text in told.values()) > 10_000
        return told

    def work(self):
        """Let the other one make one more of everything, and change what there is."""
        make_library(self.services, self.victim, self.source.endpoint_url, name="more", run="run_more")
        first = {"connection_id": self.foreign.connection_id, "source_path": f"{BUCKET}/other", "name": "a-first"}
        self.victim.done("POST", self.foreign.syncs, first)
        with self.services.store._database.write() as tx:
            tx.run("UPDATE objects SET state = 'tombstoned' WHERE object_id = ?", self.foreign.object_id)
            tx.run("UPDATE dead_letters SET error_type = 'other' WHERE sync_config_id = ?", self.foreign.sync_id)
        self.victim.done("POST", f"{self.foreign.sync}/pause")
        self.victim.done("PATCH", f"/v1/connections/{self.foreign.connection_id}", {"description": "victims only"})

    def leaks(self):
        """What of the other's the stranger is told, and which of his answers change when the other works."""
        # Once before, for looking at a connection by a test is noted with it.
        self.answers()
        before = self.answers()
        self.work()
        after = self.answers()
        changed = [name for name, text in before.items() if after[name] != text]
        known = {value for name, value in ids_of(self.foreign).items() if name != "blob_property"}
        known |= {"int_acme", "ns_alpha", "victims only", self.victim.key[:11], self.foreign.dead_letter_id}
        # The same file has the same content, and so the same id of its object's bytes, whoever has it.
        return changed + [f"{name}: {one}" for name, text in after.items() for one in known if one in text]


@pytest.fixture
def world(tmp_path, source):
    with opened_home(tmp_path) as opened:
        services = Services(opened.settings, opened.store, SimulatedClock())
        opened.store._clock = opened.store._database.clock = services.clock
        with serving(services, open_access=False) as url:
            yield World(services, url, source)


def test_nothing_that_others_have_or_do_is_told(world):
    assert world.leaks() == []


def wrong(name, replaced):
    """A store whose method is asked for the other tenant's instead."""

    def plant(world, patch):
        right = getattr(SqlStateStore, name)
        patch.setattr(SqlStateStore, name, lambda self, *args, **given: right(self, *replaced(world, *args), **given))

    return plant


def unscoped(name):
    """A store whose method forgets to look at whose things they are."""

    def plant(_world, patch):
        right = getattr(SqlStateStore, name)
        patch.setattr(SqlStateStore, name, lambda self, *args, **given: right(self, *args, **{**given, "within": None}))

    return plant


def of_victims_bucket(world, _bucket_id, *rest):
    return (world.foreign.bucket_id, *rest)


def of_victims_sync(world, _sync_id, *rest):
    return (world.foreign.sync_id, *rest)


def counting_all(_world, patch):
    def count(self, bucket_ids):
        with self._database.read() as tx:
            every = tx.rows("SELECT count(*) FROM objects")[0][0]
        return dict.fromkeys(bucket_ids, every)

    patch.setattr(SqlStateStore, "count_objects_of", count)


def telling_requests(_world, patch):
    patch.setattr("mixsync_dagster.api.watching.is_local", lambda _: True)


def telling_others_paths(world, patch):
    right = SqlStateStore.list_syncs

    def every(self, **given):
        return right(self) if given.get("connection_id") else right(self, **given)

    patch.setattr(SqlStateStore, "list_syncs", every)


HOLES = {
    "list connections": wrong("list_connections_part", lambda world, _internal_id, *rest: ("int_acme", *rest)),
    "list buckets": wrong("list_buckets_part", lambda world, *_: (Namespace("int_acme", "ns_alpha"),)),
    "list syncs": wrong("list_syncs_part", of_victims_bucket),
    "syncs of metrics": unscoped("list_syncs"),
    "list runs": wrong("list_runs_part", of_victims_sync),
    "list batches": wrong("list_batches_part", of_victims_bucket),
    "list objects": wrong("list_objects_part", of_victims_bucket),
    "count objects": wrong("count_objects_where", of_victims_bucket),
    "counts of buckets": counting_all,
    "list dead letters": wrong("list_letters", of_victims_sync),
    "count dead letters": wrong("count_letters", of_victims_sync),
    "runs of analytics": wrong("run_numbers", of_victims_bucket),
    "sums of analytics": wrong("sync_numbers", of_victims_bucket),
    "errors of analytics": wrong("error_numbers", of_victims_bucket),
    "requests of metrics": telling_requests,
    "paths of tests": telling_others_paths,
}


@pytest.mark.parametrize("hole", HOLES)
def test_planted_holes_are_found(world, monkeypatch, hole):
    HOLES[hole](world, monkeypatch)
    assert world.leaks() != []


def test_a_foreign_id_is_told_in_the_words_for_one_that_is_not_there(world):
    """Status, code and sentence are the same: nothing tells what exists."""
    foreign = {name: value for name, value in ids_of(world.foreign).items() if name != "blob_property"}
    absent = {name: re.sub(r"[a-z0-9]{6}$", "zzzzzz", value) for name, value in foreign.items()}
    assert all(absent[name] != value for name, value in foreign.items())
    compared = 0
    for one in operations(world.services):
        for name in set(one.names) & set(foreign):
            values = ids_of(world.own)
            told = []
            for ids in (foreign, absent):
                answer = world.stranger(one.method, one.filled({**values, name: ids[name]}), one.body)
                text = _REQUEST.sub("", answer.text)
                told.append((answer.status_code, text.replace(ids[name], "ID")))
            assert told[0] == told[1], (one, name)
            assert told[0][0] == 404, (one, name)
            compared += 1
    assert compared > 40


def test_names_of_others_are_free(world):
    connection = connection_body(world.source.endpoint_url, "mine", test_before_save=False)
    for caller in (world.victim, world.stranger):
        made = caller.done("POST", "/v1/connections", connection)
        bucket = caller.done("POST", "/v1/buckets", {"bucket_name": "mine"})["bucket_id"]
        body = {"connection_id": made["connection_id"], "source_path": f"{BUCKET}/other"}
        # Named after its path, and numbered only beside others of one's own.
        names = [caller.done("POST", f"/v1/buckets/{bucket}/syncs", body)["name"] for _ in range(2)]
        assert names == [f"{BUCKET}-other", f"{BUCKET}-other-2"]
        assert caller.done("POST", f"/v1/buckets/{bucket}/syncs", {**body, "name": "mine"})["name"] == "mine"


def test_a_conflict_tells_of_no_other_namespace(world):
    """A connection is the organisation's; who uses it in another namespace is not told."""
    neighbour = Client(world.victim.url, make_key(world.services, "gamma"))
    answer = neighbour("DELETE", f"/v1/connections/{world.foreign.connection_id}")
    assert answer.status_code == 409
    assert "is used by a sync; delete what uses it first" in answer.text
    tested = neighbour.done("POST", f"/v1/connections/{world.foreign.connection_id}/test")
    for text in (answer.text, json.dumps(tested)):
        assert not [one for one in ("films", BUCKET, world.foreign.sync_id, "ns_alpha") if one in text]


def test_only_the_operators_organisation_is_local():
    assert is_local("int_local")
    assert not is_local("int_acme")
