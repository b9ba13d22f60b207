"""The auditor sees each kind of damage, done by hand to a world in which all was well."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mixsync_dagster_tests.faults.checking import Audit
from mixsync_dagster_tests.faults.storage import Submission
from mixsync_dagster_tests.faults.worlds import Lab, World


def lose_a_row(world: World) -> None:
    world.books.change("DELETE FROM inventory WHERE source_object_id LIKE '%new/05'")


def lose_an_object(world: World) -> None:
    world.books.change("DELETE FROM objects WHERE source_object_id LIKE '%keep/05'")


def lose_a_blob(world: World) -> None:
    next(iter((world.home / "blobs").glob("[0-9a-f][0-9a-f]/*"))).unlink()


def tear_a_blob(world: World) -> None:
    path = next(iter((world.home / "blobs").glob("[0-9a-f][0-9a-f]/*")))
    path.write_bytes(path.read_bytes()[:-1])


def tear_a_manifest(world: World) -> None:
    path = next(iter((world.home / "manifests").glob("*.parquet")))
    path.write_bytes(path.read_bytes()[:-5])


def keep_what_is_gone(world: World) -> None:
    world.storage.delete("new/06")


def make_a_second_object(world: World) -> None:
    columns = "bucket_id, source_provider, source_object_id, sync_config_id, source_path, version, state, fields, blobs"
    columns += ", remote_object_id, batch_id, created_at, updated_at, tombstoned_at"
    query = f"INSERT INTO objects (object_id, {columns}) SELECT 'obj_second', {columns} FROM objects"
    world.books.change(f"{query} WHERE source_object_id LIKE '%new/08'")


def submit_again(world: World) -> None:
    known = next(iter(world.storage.submissions.values()))
    world.storage.submissions["another"] = Submission(known.batch_id, known.digest, known.members)


def forget_a_submission(world: World) -> None:
    world.storage.submissions.popitem()


def leave_an_outbox(world: World) -> None:
    world.books.change("INSERT INTO outbox SELECT batch_id, sync_config_id, bucket_id, 0, 0, 0 FROM batches LIMIT 1")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lose_a_row, "lost"),
        (lose_an_object, "wrongly removed"),
        (lose_a_blob, "lost"),
        (tear_a_blob, "torn"),
        (tear_a_manifest, "torn"),
        (keep_what_is_gone, "other"),
        (make_a_second_object, "duplicated"),
        (submit_again, "double-submitted"),
        (forget_a_submission, "lost"),
        (leave_an_outbox, "other"),
    ],
)
def test_damage_is_seen(lab: Lab, damage: Callable[[World], None], kind: str) -> None:
    with lab.world("sqlite") as world:
        world.run()
        world.settle()
        assert not Audit(world).of_a_settled_sync()
        damage(world)
        assert kind in {found for found, _ in Audit(world).of_a_settled_sync().found}
