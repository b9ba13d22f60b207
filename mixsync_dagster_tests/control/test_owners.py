import re

from mixsync_dagster.control import owners


def test_ids_have_their_prefix_and_differ():
    for make, prefix in (
        (owners.new_connection_id, "conn"),
        (owners.new_sync_config_id, "sync"),
        (owners.new_sync_run_id, "run"),
    ):
        made = {make() for _ in range(100)}
        assert len(made) == 100
        assert all(re.fullmatch(rf"{prefix}_[a-z0-9]{{15}}", one) for one in made)
