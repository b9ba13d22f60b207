"""The code location loads, whatever state the configuration and the state store are in."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

import mixsync_dagster
from mixsync_dagster.orchestration.instance import packaged_config, prepare_instance
from mixsync_dagster.orchestration.location import build_definitions
from mixsync_dagster.orchestration.resources import MixsyncServices

OURS = {"collect_garbage", "plan_sync", "probe_syncs", "sync_bucket", "test_connection", "verify_bucket"}

GOOD = """
connections:
  files:
    provider_type: s3
    provider_config:
      region: us-east-1
      endpoint_url: http://127.0.0.1:9
      use_ssl: false
      credentials: {type: access_key, access_key_id: AKIDTESTING000000001, secret_access_key: secret}
buckets:
  bkt_files: {}
syncs:
  good: {bucket_id: bkt_files, connection_id: files, source_path: files}
"""

BAD = "syncs:\n  bad: {bucket_id: bkt_files, connection_id: files, source_path: files, polling_interval_seconds: 5}\n"


def jobs_of(definitions):
    return {job.name for job in definitions.resolve_all_job_defs() if not job.name.startswith("__")}


def problems_of(definitions):
    graph = definitions.resolve_asset_graph()
    return {
        key.path[-1]: graph.get(key).metadata["problem"].value
        for key in graph.get_all_asset_keys()
        if key.path[:2] == ["mixsync", "configuration_problems"]
    }


def test_without_a_home_everything_loads_and_says_what_to_run(tmp_path):
    definitions = build_definitions(MixsyncServices(home=str(tmp_path / "absent")))
    assert jobs_of(definitions) == OURS
    assert [sensor.name for sensor in definitions.sensors] == [
        "mixsync_dispatcher",
        "mixsync_reaper",
        "mixsync_monitor",
        "mixsync_processing",
    ]
    assert "run `mixsync init`" in problems_of(definitions)["state_store"]


def test_a_setting_that_is_not_accepted_is_shown(monkeypatch):
    monkeypatch.setenv("MIXSYNC_NAMED_SYNCS", "many")
    definitions = build_definitions(MixsyncServices())
    assert jobs_of(definitions) == OURS
    assert "MIXSYNC_NAMED_SYNCS: many is not accepted" in problems_of(definitions)["settings"]


def test_a_database_that_is_none_leaves_the_last_known_syncs(home):
    home.add("videos")
    assert "sync_videos" in jobs_of(build_definitions(home.mixsync))
    home.mixsync.close()
    for file in home.path.glob("state.db*"):
        file.write_text("this is no database, whatever its name says")
    definitions = build_definitions(MixsyncServices(home=str(home.path)))
    assert "sync_videos" in jobs_of(definitions)
    assert "1 syncs are shown as they were known last" in problems_of(definitions)["state_store"]


def test_every_sync_has_an_asset_with_its_source_upstream_and_its_checks(home):
    home.add("raw.videos", file_filters="{extensions: [.mp4]}")
    definitions = build_definitions(home.mixsync)
    graph = definitions.resolve_asset_graph()
    key = dg.AssetKey(["ns_default", "bkt_media", "raw_videos"])
    asset = graph.get(key)
    assert asset.parent_keys == {dg.AssetKey(["s3", "media", "videos"])}
    assert asset.group_name == "bkt_media"
    assert asset.kinds == {"s3", "bucket"}
    assert "extensions `.mp4`" in asset.description
    assert {check.name for check in graph.get_check_keys_for_assets({key})} == {
        "dead_letters",
        "failure_rate",
        "outbox",
        "staleness",
        "stuck",
    }


def test_no_more_syncs_are_named_than_the_setting_allows(home, monkeypatch):
    for name in ("one", "two", "three"):
        home.add(name)
    monkeypatch.setenv("MIXSYNC_NAMED_SYNCS", "2")
    assert jobs_of(build_definitions(home.mixsync)) == OURS | {"sync_one", "sync_two"}


def test_a_bad_file_is_shown_and_the_good_ones_count(home, tmp_path, monkeypatch):
    folder = tmp_path / "syncs"
    folder.mkdir()
    (folder / "good.yaml").write_text(GOOD)
    (folder / "bad.yaml").write_text(BAD)
    (folder / "broken.yaml").write_text("syncs: [")
    monkeypatch.setenv("MIXSYNC_SYNCS_DIR", str(folder))
    definitions = build_definitions(home.mixsync)
    assert "sync_good" in jobs_of(definitions)
    assert "sync_bad" not in jobs_of(definitions)
    problems = problems_of(definitions)
    assert "polling_interval_seconds: 5 is not accepted" in problems["file_bad_yaml"]
    assert "the YAML cannot be read" in problems["file_broken_yaml"]
    assert set(problems) == {"file_bad_yaml", "file_broken_yaml"}


def test_files_may_lean_on_each_other_in_any_order(home, tmp_path, monkeypatch):
    folder = tmp_path / "syncs"
    folder.mkdir()
    good = yaml.safe_load(GOOD)
    (folder / "a.yaml").write_text(yaml.safe_dump({"syncs": good["syncs"]}))
    (folder / "b.yaml").write_text(yaml.safe_dump({"connections": good["connections"], "buckets": good["buckets"]}))
    monkeypatch.setenv("MIXSYNC_SYNCS_DIR", str(folder))
    definitions = build_definitions(home.mixsync)
    assert "sync_good" in jobs_of(definitions)
    assert problems_of(definitions) == {}


_IMPORT = """
import sys
import mixsync_dagster.definitions
mixsync_dagster.definitions.defs()
heavy = {"boto3", "botocore", "dagster_aws", "obstore", "snowflake.connector", "google.auth", "msal"}
heavy |= {"pandas", "alembic"}
print(sorted(heavy & set(sys.modules)))
"""


@pytest.mark.parametrize("initialised", [False, True])
def test_loading_imports_no_vendor(home, tmp_path, initialised):
    home.add()
    path = home.path if initialised else tmp_path / "absent"
    environment = {**os.environ, "MIXSYNC_HOME": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT], capture_output=True, text=True, check=True, env=environment, cwd=_ROOT
    )
    assert done.stdout.strip() == "[]"


_ROOT = Path(mixsync_dagster.__file__).parent.parent


def test_the_packaged_configuration_is_the_one_at_the_top_of_the_repository():
    assert packaged_config() == (_ROOT / "dagster.yaml").read_text(encoding="utf-8")


def test_the_instance_is_made_with_its_configuration_and_again_changes_nothing(tmp_path, capsys):
    home = tmp_path / "dagster"
    prepare_instance(home)
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == packaged_config()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    prepare_instance(home)
    assert (home / "dagster.yaml").read_text(encoding="utf-8") == "telemetry: {enabled: false}\n"
    assert capsys.readouterr().out == ""


def test_the_instance_loads_with_the_packaged_configuration(tmp_path):
    prepare_instance(tmp_path / "dagster")
    with dg.DagsterInstance.from_config(str(tmp_path / "dagster")) as instance:
        assert instance.telemetry_enabled is False
        assert instance.get_runs_count() == 0
