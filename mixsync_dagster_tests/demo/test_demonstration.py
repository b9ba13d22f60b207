import sys
from datetime import UTC, datetime

import pytest

from mixsync_dagster.demo.demonstration import Demo, StepFailed, compared
from mixsync_dagster.model.objects import StoredObject

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def stored(name, version="v1"):
    return StoredObject(f"obj_{name}", "bkt_a", "s3", f"m/{name}", name, version, "active", {}, (), None, NOON, NOON)


def test_what_became_of_each_object_is_told_by_path():
    before = [stored("a"), stored("b"), stored("d")]
    after = [stored("d"), stored("c"), stored("b", "v2")]
    assert [(change, one.source_path) for change, one in compared(before, after)] == [
        ("removed", "a"),
        ("replaced", "b"),
        ("created", "c"),
        ("unchanged", "d"),
    ]


def test_a_failed_step_tells_what_its_log_says_last(tmp_path):
    demo = Demo(tmp_path)
    code = "print('many words'); print('the reason'); raise SystemExit(3)"
    with pytest.raises(StepFailed) as failed:
        demo.execute([sys.executable, "-c", code], tmp_path / "step.log")
    assert "ended with status 3" in str(failed.value)
    assert str(failed.value).endswith("many words\nthe reason")


def test_the_demo_uses_a_home_and_settings_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("MIXSYNC_DATABASE_URL", "postgresql://db/name")
    environment = Demo(tmp_path).environment()
    assert "MIXSYNC_DATABASE_URL" not in environment
    assert environment["MIXSYNC_HOME"] == str(tmp_path / "home")
    assert environment["DAGSTER_HOME"] == str(tmp_path / "home" / "dagster")
