"""Whole runs of a sync whose source is a Drive: the engine, a real store and bucket, and the simulated service."""

import pytest

from mixsync_dagster.errors import PathNotFound
from mixsync_dagster.transport.retry import Retrier
from mixsync_dagster.transport.retrying_provider import retrying
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures are found by being here
from mixsync_dagster_tests.engine.support import mapping_of

DOCUMENT = "application/vnd.google-apps.document"
DOCX = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document\n"


class Synced:
    """A sync of the folder `in`; every run has a provider of its own, as every process would."""

    def __init__(self, engine, drive):
        self.engine = engine
        self.drive = drive
        self.server = drive.server

    def run(self, **options):
        self.server.forget()
        pacer = Retrier(self.engine.clock, seed=1)
        provider = self.drive.provider("in", page_rows=1000)
        tools = self.engine.tools(provider=retrying(provider, pacer), provider_name="google_drive", pacer=pacer)
        try:
            return self.engine.run(tools, **options)
        finally:
            tools.close()

    def counters(self, **options):
        run = self.run(**options)
        assert run.status in {"completed", "completed_with_errors"}, run.error
        told = run.counters
        return (told.created, told.replaced, told.moved, told.removed, told.failed)


@pytest.fixture
def synced(make_world, world):  # noqa: F811 - the fixture above
    mapping = mapping_of(
        content={"blob": True},
        team={"source": {"type": "drive_property", "key": "team"}},
        folder={"source": {"type": "folder_path"}},
    )
    rules = {"on_update": True, "on_delete": True, "on_filter_drift": True}
    engine = make_world(source_type="google_drive", source_path="/in", schema_mapping=mapping, reconcile=rules)
    world.put("in/a.txt", b"a")
    world.put("in/sub/b.txt", b"b")
    world.put("out/c.txt", b"c")
    return Synced(engine, world)


def test_everything_arrives_once_and_then_nothing(synced):
    assert synced.counters() == (2, 0, 0, 0, 0)
    assert synced.engine.contents() == {"in/a.txt": b"a", "in/sub/b.txt": b"b"}
    assert synced.counters() == (0, 0, 0, 0, 0)
    assert synced.server.count("files.media") == 0


def test_a_run_without_change_makes_one_request(synced):
    synced.run()
    synced.run()
    assert synced.server.count() == synced.server.count("changes.list") == 1


def test_new_changed_moved_and_removed_files_follow(synced):
    synced.run()
    files, drive = synced.server.files, synced.drive
    ids = {path: stored.object_id for path, stored in synced.engine.objects().items()}
    drive.put("in/new.txt", b"new")
    drive.put("in/a.txt", b"changed")
    files.update(drive.folder("in/sub"), name="renamed")
    assert synced.counters() == (1, 1, 1, 0, 0)
    assert synced.server.count("files.media") == 2
    objects = synced.engine.objects()
    assert synced.engine.contents() == {"in/a.txt": b"changed", "in/new.txt": b"new", "in/renamed/b.txt": b"b"}
    assert objects["in/renamed/b.txt"].object_id == ids["in/sub/b.txt"]
    assert objects["in/renamed/b.txt"].fields["folder"] == "renamed"
    files.update(drive.find("in/new.txt"), trashed=True)
    files.update(drive.folder("in/renamed"), parents=[drive.folder("out")])
    assert synced.counters() == (0, 0, 0, 2, 0)
    assert sorted(synced.engine.objects()) == ["in/a.txt"]


def test_a_property_that_changed_is_mapped_anew_without_bytes(synced):
    synced.run()
    synced.server.files.update(synced.drive.find("in/a.txt"), app_properties={"team": "blue"})
    assert synced.counters() == (0, 0, 1, 0, 0)
    assert synced.server.count("files.media") == 0
    assert synced.engine.objects()["in/a.txt"].fields["team"] == "blue"


def test_a_folder_lost_for_good_is_found_by_listing_again(synced):
    synced.run()
    synced.server.files.hide(synced.drive.folder("in/sub"))
    assert synced.counters() == (0, 0, 0, 1, 0)
    assert sorted(synced.engine.objects()) == ["in/a.txt"]
    synced.run()
    assert synced.server.count() == 1


def test_a_listing_and_the_feed_come_to_the_same(synced, make_world, world):  # noqa: F811 - the fixture above
    synced.run()
    drive, files = synced.drive, synced.server.files
    drive.put("in/x/1.txt", b"1")
    files.update(drive.folder("out"), parents=[drive.folder("in/x")])
    files.update(drive.find("in/a.txt"), name="z.txt", trashed=False)
    files.add("doc", drive.folder("in/x"), DOCUMENT, content=b"text")
    synced.run()
    by_feed = synced.engine.contents()
    assert synced.counters(full_sync=True) == (0, 0, 0, 0, 0)
    assert by_feed == synced.engine.contents()
    assert by_feed == {
        "in/sub/b.txt": b"b",
        "in/x/1.txt": b"1",
        "in/x/doc.docx": DOCX + b"text",
        "in/x/out/c.txt": b"c",
        "in/z.txt": b"a",
    }


def test_a_form_is_set_aside_with_its_reason_and_the_rest_arrives(synced):
    synced.server.files.add("form", synced.drive.folder("in"), "application/vnd.google-apps.form")
    assert synced.counters() == (2, 0, 0, 0, 1)
    assert {path: letter.error_type for path, letter in synced.engine.letters().items()} == {
        "in/form": "not_exportable"
    }
    assert synced.counters() == (0, 0, 0, 0, 0)


def test_a_file_that_fails_does_not_stop_the_others(synced):
    synced.server.fail("files.media", status=403, reason="cannotDownloadAbusiveFile")
    created, *_, failed = synced.counters()
    assert (created, failed) == (1, 1)
    (letter,) = synced.engine.letters().values()
    assert letter.error_type == "abusive_file"


@pytest.mark.parametrize("operation", ["files.get", "files.list", "changes.start", "files.media", "token"])
def test_being_told_to_slow_down_costs_time_and_nothing_else(synced, operation):
    synced.server.fail(operation, status=429, reason="rateLimitExceeded", retry_after="7", times=2)
    before = synced.engine.clock.monotonic()
    assert synced.counters() == (2, 0, 0, 0, 0)
    assert synced.engine.clock.monotonic() - before >= 60 + 14
    assert synced.engine.letters() == {}


def test_a_token_revoked_in_the_middle_costs_one_more_token(synced):
    synced.server.before("files.media", synced.server.sign_in.revoke)
    assert synced.counters() == (2, 0, 0, 0, 0)
    assert synced.server.count("token") == 2


def test_access_that_is_lost_fails_the_run_and_removes_nothing(synced):
    synced.run()
    synced.server.files.hide(synced.drive.folder("in"))
    with pytest.raises(PathNotFound, match="there is no folder /in in My Drive"):
        synced.run()
    assert sorted(synced.engine.objects()) == ["in/a.txt", "in/sub/b.txt"]


def test_a_page_that_breaks_off_is_read_again(synced):
    synced.server.fail("files.list", cut=20, after=1)
    assert synced.counters() == (2, 0, 0, 0, 0)
