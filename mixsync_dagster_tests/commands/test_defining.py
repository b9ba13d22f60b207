import pytest
import yaml

from mixsync_dagster_tests.control.support import MEDIA, with_line


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "syncs.yaml"
    path.write_text(MEDIA)
    return path


def test_apply_tells_what_became_of_each_definition(home, mixsync, file):
    done = mixsync("apply", str(file))
    assert (done.status, done.out.splitlines()[-1]) == (0, "3 created.")
    again = mixsync("apply", str(file), "--json")
    assert [(one["kind"], one["name"], one["change"]) for one in again.lines] == [
        ("connection", "media-s3", "unchanged"),
        ("bucket", "bkt_media", "unchanged"),
        ("sync", "videos", "unchanged"),
    ]


def test_a_bad_file_is_one_sentence_on_stderr_and_status_2(home, mixsync, file):
    file.write_text(with_line("polling_interval_seconds: 29"))
    done = mixsync("apply", str(file))
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f"mixsync: {file}:14: syncs.videos.polling_interval_seconds: 29 is not accepted; "
        "give a whole number from 30 to 900 (seconds).\n"
    )
    assert mixsync("syncs", "--json").out == ""


def test_a_dry_run_says_so(home, mixsync, file):
    assert "3 created (dry run: nothing was written)." in mixsync("apply", str(file), "--dry-run").out
    assert mixsync("connections", "--json").lines == []


def test_prune_deletes_what_no_file_defines(home, mixsync, file, tmp_path):
    mixsync("apply", str(file))
    rest = tmp_path / "rest.yaml"
    rest.write_text("buckets:\n  bkt_media: {description: Media library}\n")
    done = mixsync("apply", str(rest), "--prune", "--json")
    assert [(one["name"], one["change"]) for one in done.lines] == [
        ("bkt_media", "unchanged"),
        ("videos", "removed"),
        ("media-s3", "removed"),
    ]


def test_a_secret_in_a_file_is_warned_of_on_stderr(home, mixsync, file):
    file.write_text(MEDIA.replace("{env: MEDIA_SECRET}", "hush-hush"))
    done = mixsync("apply", str(file))
    assert done.status == 0
    assert done.err.startswith(f"warning: {file}:6: connections.media-s3.provider_config.credentials.secret_access_key")
    assert "hush" not in done.out + done.err


def test_an_export_to_a_folder_is_taken_back_without_change(media, mixsync, tmp_path):
    done = mixsync("export", str(tmp_path / "out"))
    assert done.status == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "buckets.yaml",
        "connections.yaml",
        "syncs.yaml",
    ]
    assert "MEDIA_KEY, MEDIA_SECRET" in done.err
    assert mixsync("apply", str(tmp_path / "out")).out.splitlines()[-1] == "3 unchanged."


def test_an_export_to_stdout_is_yaml_and_json_is_one_document(media, mixsync):
    exported = yaml.safe_load(mixsync("export").out)
    assert exported["syncs"]["videos"]["source_path"] == "media/videos"
    assert mixsync("export", "--json").lines[0]["syncs"] == exported["syncs"]


def test_connections_show_no_credentials(media, mixsync):
    shown = mixsync("connections", "--json")
    assert shown.lines[0]["provider_config"]["credentials"] == {"type": "access_key"}
    assert "MEDIA_SECRET" not in shown.out
    assert "media-s3" in mixsync("connections").out
