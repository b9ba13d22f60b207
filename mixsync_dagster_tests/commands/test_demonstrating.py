import json

import pytest


@pytest.mark.slow
def test_the_demo_syncs_changes_and_removes_through_dagster(mixsync, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    done = mixsync("demo", "--json")
    assert (done.status, done.err) == (0, "")
    told = json.loads(done.out)
    first, second = told["runs"]
    assert (first["created"], first["failed"]) == (12, 0)
    assert [second[name] for name in ("created", "replaced", "removed", "unchanged")] == [1, 1, 1, 10]
    assert first["dagster_run_id"] is not None
    paths = {one["source_path"]: one for one in told["objects"]}
    assert len(paths) == 12
    assert paths["reports/visits_2026.csv"]["fields"] == {
        "category": "report",
        "owner": "ana",
        "year": "2026",
        "folder": "reports",
        "origin": "demo",
    }
    assert list(tmp_path.glob("mixsync-demo-*")) == []
