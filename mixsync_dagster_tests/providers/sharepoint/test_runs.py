"""Whole runs of the engine over a simulated Graph: what the source holds is what the bucket holds."""

import pytest

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures are found by being here


class Sync:
    """A sync of the engine's world, each run of which has a provider of its own, as a process has."""

    def __init__(self, engine, world, folder):
        self.engine, self.graph, self.drive = engine, world.graph, world.drive
        self._world, self._folder = world, folder
        world.clock = engine.clock

    def run(self, **options):
        pacer = Retrier(self.engine.clock, seed=1)
        provider = retrying(self._world.provider(self._folder), pacer)
        tools = self.engine.tools(provider=provider, provider_name="sharepoint", pacer=pacer)
        self.graph.forget_requests()
        return self.engine.run(tools, **options)

    def source(self):
        """The bytes of every file of the scope, by path."""
        with self.drive.lock:
            files = [one for one in self.drive.entries.values() if one.kind == "file" and not one.deleted]
        return {one.path: one.content for one in files if one.path.startswith(self._folder)}


@pytest.fixture
def sync(make_world, world):  # noqa: F811 - the fixture above
    rules = {"on_delete": True, "on_update": True, "on_filter_drift": True}
    made = Sync(make_world(source_type="sharepoint", reconcile=rules), world, "media")
    for path in ("media/a.txt", "media/deep/b.txt", "media/deep/er/c.txt", "other/d.txt"):
        world.put(path, path.encode())
    made.run()
    return made


def same(sync):
    return sync.engine.contents() == sync.source()


def test_a_first_run_brings_everything(sync):
    assert same(sync)
    assert sorted(sync.source()) == ["media/a.txt", "media/deep/b.txt", "media/deep/er/c.txt"]


def test_a_run_without_change_asks_for_the_feed_alone(sync):
    counters = sync.run().counters
    assert (counters.created, counters.replaced, counters.removed, counters.failed) == (0, 0, 0, 0)
    assert sync.graph.count("item", "download", "columns") == 0
    assert sync.graph.count() == sync.graph.count("delta") == 1


def test_new_changed_and_removed_files_arrive(sync):
    sync.drive.put("media/new.txt", b"new")
    sync.drive.put("media/a.txt", b"changed")
    sync.drive.delete("media/deep/b.txt")
    counters = sync.run().counters
    assert (counters.created, counters.replaced, counters.removed) == (1, 1, 1)
    assert same(sync)


def test_a_renamed_folder_moves_its_objects_without_reading_a_byte(sync):
    before = {path: found.object_id for path, found in sync.engine.objects().items()}
    sync.drive.move("media/deep", "media/Deep 2")
    counters = sync.run().counters
    assert (counters.created, counters.replaced, counters.moved, counters.removed) == (0, 0, 2, 0)
    assert sync.graph.count("download") == 0
    assert same(sync)
    after = {path: found.object_id for path, found in sync.engine.objects().items()}
    assert after["media/Deep 2/b.txt"] == before["media/deep/b.txt"]


def test_folders_that_leave_and_enter_the_scope_are_followed(sync):
    sync.drive.move("media/deep", "elsewhere")
    sync.drive.move("other", "media/other")
    sync.run()
    assert same(sync)
    assert sorted(sync.source()) == ["media/a.txt", "media/other/d.txt"]


@pytest.mark.parametrize("tell_content", [True, False])
def test_a_deleted_folder_takes_its_objects_along(sync, tell_content):
    sync.drive.deletes_tell_content = tell_content
    sync.drive.delete("media/deep")
    sync.run()
    assert sorted(sync.source()) == ["media/a.txt"]
    assert same(sync)


def test_a_position_that_is_gone_loses_nothing_and_removes_what_is_gone(sync):
    sync.drive.put("media/new.txt", b"new")
    sync.drive.delete("media/a.txt")
    sync.graph.expired_before = sync.drive.sequence + 1
    assert sync.run().counters.removed == 1
    assert same(sync)
    sync.graph.expired_before = 0
    sync.drive.put("media/newer.txt", b"newer")
    sync.run()
    assert same(sync)


def test_throttling_is_waited_out_and_fails_nobody(sync):
    for number in range(8):
        sync.drive.put(f"media/new-{number}.txt", b"new %d" % number)
    sync.graph.faults.add("delta", status=429, headers={"Retry-After": "40"})
    sync.graph.faults.add("download", status=503, headers={"Retry-After": "25"}, times=2)
    counters = sync.run().counters
    assert counters.failed == 0
    assert max(sync.engine.clock.slept) >= 40
    assert same(sync)


def test_a_token_that_ends_in_the_middle_of_a_run_fails_nobody(sync):
    for number in range(8):
        sync.drive.put(f"media/new-{number}.txt", b"new %d" % number)
    sync.graph.faults.add("download", skip=3, before=sync.graph.sign_in.revoke)
    assert sync.run().counters.failed == 0
    assert same(sync)


def test_one_file_that_cannot_be_read_stops_no_other(sync):
    sync.drive.put("media/bad.bin", b"bad", bytes=b"other bytes")
    sync.drive.put("media/good.bin", b"good")
    counters = sync.run().counters
    assert (counters.created, counters.failed) == (1, 1)
    assert sync.engine.letters()["media/bad.bin"].error_type == "checksum_mismatch"
    sync.drive.put("media/bad.bin", b"fine now")
    sync.run()
    assert same(sync)


def test_an_empty_answer_never_empties_the_bucket(sync):
    sync.graph.faults.add("delta", skip=1, body=b'{"value": []}', times=None)  # the first is the feed's head
    with pytest.raises(ProviderUnavailable):
        sync.run(full_sync=True)
    assert same(sync)
    sync.graph.faults.clear()
    sync.graph.faults.add("delta", skip=1, body=b"", times=1)
    assert sync.run(full_sync=True).counters.removed == 0
    assert same(sync)


def test_columns_become_fields(make_world, world):  # noqa: F811 - the fixture above
    mapping = {
        "content": {"target_type": "blob", "source": {"type": "file"}},
        "team": {"target_type": "field", "source": {"type": "sharepoint_column", "key": "Team_x0020_Name"}},
    }
    sync = Sync(make_world(source_type="sharepoint", schema_mapping={"mappings": mapping}), world, "media")
    world.drive.put("media/a.txt", b"1", columns={"Team_x0020_Name": "Legal"})
    sync.run()
    assert sync.engine.objects()["media/a.txt"].fields == {"team": "Legal"}


def test_columns_decide_as_metadata_filters_which_files_are_kept(make_world, world):  # noqa: F811 - the fixture above
    filters = {"metadata_filters": [{"field": "Team", "operator": "equals", "value": "Legal"}]}
    sync = Sync(make_world(source_type="sharepoint", file_filters=filters), world, "media")
    world.drive.put("media/legal.txt", b"1", columns={"Team": "Legal"})
    world.drive.put("media/sales.txt", b"2", columns={"Team": "Sales"})
    sync.run()
    assert sorted(sync.engine.contents()) == ["media/legal.txt"]
    world.drive.set_columns("media/sales.txt", {"Team": "Legal"})
    sync.run()
    assert sorted(sync.engine.contents()) == ["media/legal.txt", "media/sales.txt"]
