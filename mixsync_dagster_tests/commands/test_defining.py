import pytest
import yaml

from mixsync_dagster.demo.source import BUCKET
from mixsync_dagster_tests.commands.conftest import LIVE
from mixsync_dagster_tests.control.support import MEDIA, with_line
from mixsync_dagster_tests.support.s3_servers import Reply

UNTESTED = MEDIA.replace("provider_type: s3", "provider_type: s3\n    test_before_save: false")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "syncs.yaml"
    path.write_text(UNTESTED)
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
    file.write_text(UNTESTED.replace("{env: MEDIA_SECRET}", "hush-hush"))
    done = mixsync("apply", str(file))
    assert done.status == 0
    assert done.err.startswith(f"warning: {file}:7: connections.media-s3.provider_config.credentials.secret_access_key")
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


@pytest.fixture
def live_file(home, source, tmp_path):
    """Write the definitions of a sync of the server's bucket, or of another path or server."""

    def write(source_path=BUCKET, endpoint_url=source.endpoint_url):
        path = tmp_path / "live.yaml"
        path.write_text(LIVE.format(endpoint_url=endpoint_url, source_path=source_path, required="false"))
        return str(path)

    return write


def test_apply_tries_a_new_connection_at_the_provider(live_file, mixsync):
    done = mixsync("apply", live_file())
    assert (done.status, done.err, done.out.splitlines()[-1]) == (0, "", "3 created.")


def test_a_source_path_that_does_not_exist_is_refused_and_nothing_is_saved(live_file, mixsync):
    path = live_file("no-such-bucket")
    done = mixsync("apply", path)
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith(f"mixsync: {path}:14: syncs.live.source_path: no-such-bucket did not pass its test: ")
    assert done.err.endswith(
        "the bucket no-such-bucket does not exist at this endpoint (status 404 NoSuchBucket); "
        "--no-check applies it untested.\n"
    )
    assert mixsync("connections", "--json").out == ""


def test_wrong_keys_are_refused(live_file, mixsync, lying_server):
    lying_server.answer = lambda _request: Reply(403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>")
    path = live_file(endpoint_url=lying_server.endpoint_url)
    done = mixsync("apply", path)
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        f"mixsync: {path}:2: connections.local-s3 did not pass its test on {BUCKET}: the service does not accept the "
        "access key, its secret or its session token (status 403 SignatureDoesNotMatch); --no-check applies it "
        "untested.\n"
    )


def test_an_endpoint_where_nothing_listens_is_refused(live_file, mixsync):
    path = live_file(endpoint_url="http://127.0.0.1:9")
    done = mixsync("apply", path)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert done.err.startswith(f"mixsync: {path}:2: connections.local-s3 did not pass its test on {BUCKET}: 127.0.0.1 ")


def test_an_endpoint_that_never_answers_is_refused_in_time(live_file, mixsync, silent_endpoint, monkeypatch):
    monkeypatch.setenv("MIXSYNC_CHECK_SECONDS", "0.2")
    path = live_file(endpoint_url=silent_endpoint)
    done = mixsync("apply", path)
    assert (done.status, done.err) == (
        2,
        (
            f"mixsync: {path}:2: connections.local-s3 did not pass its test on {BUCKET}: there was no answer within "
            "0.2 seconds (MIXSYNC_CHECK_SECONDS); --no-check applies it untested.\n"
        ),
    )


@pytest.mark.parametrize("asked", ["by option", "by connection"])
def test_who_wants_no_test_gets_none(home, mixsync, file, asked):
    file.write_text(MEDIA if asked == "by option" else UNTESTED)
    options = ["--no-check"] if asked == "by option" else []
    assert mixsync("apply", str(file), *options).out.splitlines()[-1] == "3 created."


def test_an_export_to_stdout_is_yaml_and_json_is_one_document(media, mixsync):
    exported = yaml.safe_load(mixsync("export").out)
    assert exported["syncs"]["videos"]["source_path"] == "media/videos"
    assert mixsync("export", "--json").lines[0]["syncs"] == exported["syncs"]


def test_connections_show_no_credentials(media, mixsync):
    shown = mixsync("connections", "--json")
    assert shown.lines[0]["provider_config"]["credentials"] == {"type": "access_key"}
    assert "MEDIA_SECRET" not in shown.out
    assert "media-s3" in mixsync("connections").out
