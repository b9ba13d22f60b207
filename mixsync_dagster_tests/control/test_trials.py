import pytest

from mixsync_dagster.errors import (
    AccessDenied,
    ConfigurationError,
    InvalidInput,
    PathNotFound,
    ProviderUnavailable,
)
from mixsync_dagster.orchestration.syncs_folder import apply_folder
from mixsync_dagster_tests.control.support import MEDIA, VARIABLES, applied, changes, with_line
from mixsync_dagster_tests.support.s3_servers import lying_server  # noqa: F401  # a fixture

FILMS = "  films: {bucket_id: bkt_media, connection_id: media-s3, source_path: media/films}\n"
UNTESTED = MEDIA.replace("provider_type: s3", "provider_type: s3\n    test_before_save: false")


class Check:
    """A check that remembers what it was asked for, and fails as it is told."""

    def __init__(self, **failures):
        self.failures = failures
        self.asked = []
        self.keys = []

    def __call__(self, config, source_path, *, provider_filters):
        self.asked.append((source_path, provider_filters))
        self.keys.append(config.credentials.access_key_id)
        error = self.failures.get(source_path.rpartition("/")[2])
        if error is not None:
            raise error

    @property
    def paths(self):
        return sorted(path for path, _ in self.asked)


def refusal(services, text, check, **options):
    with pytest.raises(InvalidInput) as refused:
        applied(services, text, check=check, **options)
    return str(refused.value)


def test_a_new_connection_is_tried_on_the_source_paths_of_its_syncs(services):
    check = Check()
    applied(services, with_line("provider_filters: {prefix: a}") + FILMS, check=check)
    assert sorted(check.asked, key=lambda one: one[0]) == [("media/films", None), ("media/videos", {"prefix": "a"})]
    assert check.keys == ["AKIATEST", "AKIATEST"]


def test_what_is_stored_and_unchanged_is_not_tried_again(services):
    applied(services)
    check = Check()
    applied(services, with_line("batch_size: 7"), check=check)
    assert check.asked == []


def test_a_changed_connection_is_tried(services):
    applied(services)
    check = Check()
    applied(services, MEDIA.replace("{env: MEDIA_KEY}", "AKIAOTHER"), check=check)
    assert (check.paths, check.keys) == (["media/videos"], ["AKIAOTHER"])


def test_a_changed_connection_is_tried_on_stored_syncs_where_the_files_have_none(services):
    applied(services)
    check = Check()
    text = MEDIA.replace("{env: MEDIA_KEY}", "AKIAOTHER").partition("syncs:")[0]
    assert applied(services, text, check=check).warnings == ()
    assert check.paths == ["media/videos"]


def test_a_new_sync_is_tried_on_a_stored_connection_named_by_name_or_id(services):
    applied(services)
    connection_id = services.store.get_connection("media-s3").connection_id
    for number, name in enumerate(("media-s3", connection_id)):
        check = Check()
        text = "syncs:\n" + FILMS.replace("films", f"films{number}").replace("media-s3", name)
        applied(services, text, check=check)
        assert (check.paths, check.keys) == ([f"media/films{number}"], ["AKIATEST"])


def test_who_asks_for_no_test_gets_none(services):
    check = Check()
    applied(services, UNTESTED, check=check)
    assert check.asked == []


def test_a_connection_without_a_source_path_is_saved_with_a_warning(services):
    done = applied(services, MEDIA.partition("buckets:")[0], check=Check())
    assert changes(done) == {"connection media-s3": "created"}
    assert done.warnings == (
        "syncs.yaml:2: connections.media-s3 was not tested, for no sync gives a source path to test it on.",
    )


def test_a_connection_that_fails_is_refused_once_and_changes_nothing(services):
    error = AccessDenied("The service does not accept the access key (status 403 InvalidAccessKeyId).")
    check = Check(videos=error, films=error)
    assert refusal(services, MEDIA + FILMS, check) == (
        "syncs.yaml:2: connections.media-s3 did not pass its test on media/videos: the service does not accept the "
        "access key (status 403 InvalidAccessKeyId); --no-check applies it untested."
    )
    assert check.paths == ["media/videos"]
    assert (list(services.store.list_connections()), list(services.store.list_syncs())) == ([], [])


def test_one_reason_for_many_syncs_is_told_once(services):
    error = AccessDenied("The credentials lack the right s3:ListBucket.")
    shorts = FILMS.replace("films", "shorts")
    told = refusal(services, MEDIA + FILMS + shorts, Check(films=error, shorts=error))
    assert told == (
        "syncs.yaml:2: connections.media-s3 did not pass its test on media/films: the credentials lack the right "
        "s3:ListBucket; --no-check applies it untested."
    )


def test_a_missing_source_path_is_refused_at_its_sync_and_the_others_are_tried(services):
    check = Check(videos=PathNotFound("source_path: nothing exists below media/videos/."))
    assert refusal(services, MEDIA + FILMS, check) == (
        "syncs.yaml:13: syncs.videos.source_path: media/videos did not pass its test: nothing exists below "
        "media/videos/; --no-check applies it untested."
    )
    assert check.paths == ["media/films", "media/videos"]


def test_hosts_keep_their_spelling_in_a_sentence(services):
    check = Check(videos=ProviderUnavailable("127.0.0.1 cannot be reached."))
    assert "on media/videos: 127.0.0.1 cannot be reached; " in refusal(services, MEDIA, check)


def test_a_stored_connection_that_fails_is_told_at_the_sync_that_names_it(services):
    applied(services)
    check = Check(films=AccessDenied("The key is gone."))
    assert refusal(services, "syncs:\n" + FILMS, check) == (
        "syncs.yaml:2: syncs.films.connection_id: the stored connection media-s3 did not pass its test on media/films: "
        "the key is gone; --no-check applies it untested."
    )


def test_a_stored_connection_whose_variable_is_unset_is_told(services):
    applied(services)
    with pytest.raises(ConfigurationError) as refused:
        applied(services, "syncs:\n" + FILMS, {}, check=Check())
    assert str(refused.value).startswith("connection media-s3: credentials.access_key_id: the environment variable")


def test_a_dry_run_tries_too(services):
    check = Check(videos=AccessDenied("The key is gone."))
    assert "did not pass its test" in refusal(services, MEDIA, check, dry_run=True)


def test_wrong_input_is_refused_before_anything_is_tried(services):
    check = Check()
    refusal(services, with_line("batch_size: 0"), check)
    refusal(services, with_line("batch_collection_ids: [col_a]"), check)
    assert check.asked == []


def test_the_folder_that_dagster_loads_is_applied_without_any_request(services, tmp_path, lying_server, monkeypatch):  # noqa: F811
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "syncs"
    folder.mkdir()
    (folder / "media.yaml").write_text(MEDIA.replace("http://127.0.0.1:9", lying_server.endpoint_url))
    assert apply_folder(services, folder) == []
    assert [sync.name for sync in services.store.list_syncs()] == ["videos"]
    assert lying_server.seen == []
