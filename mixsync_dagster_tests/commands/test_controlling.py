from mixsync_dagster.wiring import Services


def test_pause_and_resume(media, mixsync):
    assert mixsync("pause", "videos", "--reason", "maintenance").out == "Sync videos is paused (maintenance).\n"
    paused = mixsync("syncs", "--json").lines[0]
    assert (paused["paused"], paused["pause_reason"], paused["status"]) == (True, "maintenance", "SUSPENDED")
    assert mixsync("resume", "videos").out == "Sync videos is active again and due now.\n"
    assert mixsync("resume", "videos").out == "Sync videos was not paused.\n"
    assert mixsync("resume", "videos", "--json").lines[0]["paused"] is False


def test_unlock_tells_who_held_the_lock(media, mixsync):
    assert mixsync("unlock", "videos").out == "Sync videos was not locked.\n"
    with Services.open() as services:
        services.store.acquire(services.store.get_sync("videos").sync_config_id, "somebody", "run_a", ttl_seconds=60)
    assert mixsync("unlock", "videos", "--json").lines == [
        {"success": True, "was_locked": True, "previous_worker_id": "somebody"}
    ]


def test_a_running_sync_is_not_triggered(media, mixsync):
    with Services.open() as services:
        services.store.acquire(services.store.get_sync("videos").sync_config_id, "somebody", "run_a", ttl_seconds=60)
    assert mixsync("trigger", "videos").out == "Sync videos is running already.\n"
    assert mixsync("trigger", "videos", "--full").out == "Sync videos is running already; a full run follows it.\n"


def test_a_paused_sync_is_not_triggered(media, mixsync):
    mixsync("pause", "videos")
    done = mixsync("trigger", "videos")
    assert done.status == 2
    assert "paused" in done.err


def test_a_triggered_sync_waits_for_a_daemon(media, mixsync):
    done = mixsync("trigger", "videos", "--wait", "0")
    assert done.out == (
        "The run of sync videos is asked for and has not begun within 0 s; it begins when a Dagster daemon runs. "
        "Start one by `dagster dev -m mixsync_dagster.definitions`, or run it here by `mixsync run videos`.\n"
    )
    with Services.open() as services:
        assert [one.name for one in services.store.requested_syncs(limit=10)] == ["videos"]
