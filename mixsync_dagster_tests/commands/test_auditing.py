"""`mixsync audit`, and what commands record."""

import pytest

from mixsync_dagster_tests.control.support import MEDIA


@pytest.fixture
def media(mixsync, home, tmp_path):
    """A file whose definitions were applied by the command."""
    file = tmp_path / "media.yaml"
    file.write_text(MEDIA)
    assert mixsync("apply", str(file), "--no-check").status == 0
    return str(file)


def told(mixsync, *options):
    return [(one["operation"], one["resource"]) for one in mixsync("audit", "--json", *options).lines]


def test_commands_record_what_they_change(mixsync, media):
    key = mixsync("keys", "create", "--namespace", "media", "--json").lines[0]["prefix"]
    mixsync("keys", "revoke", key)
    mixsync("pause", "videos")
    mixsync("resume", "videos")
    mixsync("unlock", "videos")
    mixsync("dlq", "videos", "requeue", "--all")
    mixsync("keys", "rotate-secret")
    mixsync("syncs")
    [sync] = [one["sync_config_id"] for one in mixsync("syncs", "--json").lines]
    found = told(mixsync)
    assert found[:7] == [
        ("keys rotate-secret", None),
        ("dlq requeue", f"sync {sync}"),
        ("unlock", f"sync {sync}"),
        ("resume", f"sync {sync}"),
        ("pause", f"sync {sync}"),
        ("keys revoke", f"key {key}"),
        ("keys create", f"key {key}"),
    ]
    assert ("apply: created", f"sync {sync}") in found
    assert ("apply: created", "bucket bkt_media") in found
    [entry] = mixsync("audit", "--json", "--limit", "1").lines
    assert (entry["origin"], entry["outcome"], entry["status"]) == ("command", "done", None)


def test_a_repeat_without_change_is_not_recorded(mixsync, media):
    before = told(mixsync)
    assert mixsync("apply", media, "--no-check").status == 0
    assert mixsync("apply", media, "--no-check", "--dry-run").status == 0
    assert told(mixsync) == before


def test_entries_are_narrowed(mixsync, media):
    mixsync("pause", "videos")
    assert told(mixsync, "--namespace", "default") == told(mixsync)
    assert told(mixsync, "--namespace", "default", "--organisation", "acme") == []
    assert told(mixsync, "--since", "2999-01-01") == []
    assert mixsync("audit", "--since", "2999-01-01").out == "Nothing was changed in that time.\n"


@pytest.mark.parametrize("since", ["yesterday", "12"])
def test_a_time_that_is_none_is_told(mixsync, home, since):
    done = mixsync("audit", "--since", since)
    assert (done.status, "--since: " in done.err) == (2, True)
