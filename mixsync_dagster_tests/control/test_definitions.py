import pytest

from mixsync_dagster.control.definitions import Offered, apply_definitions
from mixsync_dagster.control.yaml_files import load_text
from mixsync_dagster.errors import ConfigurationError, InvalidInput, NotFound
from mixsync_dagster.model.buckets import Destination
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.status import TaskStatus
from mixsync_dagster_tests.control.support import MEDIA, VARIABLES, applied, changes, with_line

REGEX = "schema_mapping: {mappings: {y: {target_type: field, source: {type: filename_regex, pattern: '%s'}}}}"
SCHEMA = MEDIA.replace(
    "library}", "library, bucket_schema: {properties: {clip: {type: video}, year: {type: integer%s}}}}"
)
SOURCE = "schema_mapping: {mappings: {y: {target_type: field, source: {type: drive_property, key: a}}}}"

WRONG = {
    "a provider that does not exist": (
        MEDIA.replace("provider_type: s3", "provider_type: ftp"),
        (
            "syncs.yaml:3: connections.media-s3.provider_type: ftp is not accepted; give one of "
            "google_drive, s3, sharepoint, snowflake, tigris."
        ),
    ),
    "an interval below the shortest": (
        with_line("polling_interval_seconds: 29"),
        (
            "syncs.yaml:14: syncs.videos.polling_interval_seconds: 29 is not accepted; "
            "give a whole number from 30 to 900 (seconds)."
        ),
    ),
    "an interval above the longest": (
        with_line("polling_interval_seconds: 901"),
        (
            "syncs.yaml:14: syncs.videos.polling_interval_seconds: 901 is not accepted; "
            "give a whole number from 30 to 900 (seconds)."
        ),
    ),
    "no files in a unit": (
        with_line("batch_size: 0"),
        "syncs.yaml:14: syncs.videos.batch_size: 0 is not accepted; give a whole number from 1 to 100 (files).",
    ),
    "too many files in a unit": (
        with_line("batch_size: 101"),
        "syncs.yaml:14: syncs.videos.batch_size: 101 is not accepted; give a whole number from 1 to 100 (files).",
    ),
    "51 tags": (
        with_line("metadata: {" + ", ".join(f"k{number}: 1" for number in range(51)) + "}"),
        "syncs.yaml:14: syncs.videos.metadata: a mapping is not accepted; give at most 50 keys, not 51.",
    ),
    "a glob that is not closed": (
        with_line("file_filters: {include_patterns: ['[a']}"),
        (
            "syncs.yaml:14: syncs.videos.file_filters.include_patterns.0: [a is not accepted; "
            "give a glob whose every [ is closed by ] (a literal [ is written [[])."
        ),
    ),
    "a pattern that is none": (
        with_line(REGEX % "(a"),
        (
            "syncs.yaml:14: syncs.videos.schema_mapping.mappings.y.source.pattern: (a is not accepted; "
            "give a valid RE2 pattern (missing ): (a)."
        ),
    ),
    "a look-behind": (
        with_line(REGEX % "(?<=a)(b)"),
        (
            "syncs.yaml:14: syncs.videos.schema_mapping.mappings.y.source.pattern: (?<=a)(b) is not accepted; "
            "give a pattern without look-behind, which RE2 does not support."
        ),
    ),
    "a connection that does not exist": (
        MEDIA.replace("connection_id: media-s3", "connection_id: media-s4"),
        "syncs.yaml:12: syncs.videos.connection_id: there is no connection media-s4; the connections are media-s3.",
    ),
    "a bucket that does not exist": (
        MEDIA.replace("bucket_id: bkt_media", "bucket_id: bkt_other"),
        "syncs.yaml:11: syncs.videos.bucket_id: there is no bucket bkt_other; the buckets are bkt_media.",
    ),
    "an environment variable that is not set": (
        MEDIA.replace("MEDIA_SECRET", "OTHER_SECRET"),
        (
            "syncs.yaml:6: connections.media-s3.provider_config.credentials.secret_access_key: "
            "the environment variable OTHER_SECRET is not set; set it or give another one."
        ),
    ),
    "a source path of another provider": (
        MEDIA.replace("media/videos", "Media/videos"),
        (
            "syncs.yaml:13: syncs.videos.source_path: Media/videos is not accepted; give bucket or bucket/prefix "
            "with a bucket name of 3 to 63 lower-case letters, digits, dots and hyphens that begins and ends with a "
            "letter or digit."
        ),
    ),
    "a mapping source of another provider": (
        with_line(SOURCE),
        (
            "syncs.yaml:14: syncs.videos.schema_mapping.mappings.y.source.type: drive_property is not accepted, "
            "for s3 has no such source; give one of constant, file, filename_regex, folder_path, metadata, tag."
        ),
    ),
    "filters of another provider": (
        with_line("provider_filters: {shared_drive_id: 0A}"),
        (
            "syncs.yaml:14: syncs.videos.provider_filters.shared_drive_id is not a known key for s3; the accepted keys "
            "are prefix."
        ),
    ),
    "collections that no embedded bucket has": (
        with_line("batch_collection_ids: [col_a]"),
        (
            "syncs.yaml:14: syncs.videos.batch_collection_ids: a list is not accepted, for the embedded bucket "
            "bkt_media has no collections; leave it out."
        ),
    ),
    "replaced objects without batches": (
        with_line("reconcile: {re_extract_on_update: false}"),
        (
            "syncs.yaml:14: syncs.videos.reconcile.re_extract_on_update: false is not accepted; give true: objects "
            "that were replaced always go into a batch again, unless skip_batch_submission is true."
        ),
    ),
    "a choice of fields for batches": (
        with_line("reconcile: {re_extract_fields: []}"),
        (
            "syncs.yaml:14: syncs.videos.reconcile.re_extract_fields: a list is not accepted; give null, or leave it "
            "out: a choice of fields is not offered."
        ),
    ),
    "a moment of creation": (
        with_line("create_object_on_confirm: false"),
        (
            "syncs.yaml:14: syncs.videos.create_object_on_confirm: it cannot be chosen and is always true, for an "
            "object exists as soon as its bytes do; leave it out."
        ),
    ),
    "a connection for writing": (
        MEDIA.replace("provider_type: s3", "provider_type: s3\n    write_enabled: true"),
        (
            "syncs.yaml:4: connections.media-s3.write_enabled: true is not accepted; give false, or leave it out: "
            "syncs only read, and nothing else uses a connection."
        ),
    ),
    "a blob behind a URL": (
        with_line("schema_mapping: {mappings: {c: {target_type: blob, source: {type: tag, key: url}}}}"),
        (
            "syncs.yaml:14: syncs.videos.schema_mapping.mappings.c.source.type: tag is not accepted, for a blob's URL "
            "is not fetched; give file or column, or map the value as a field."
        ),
    ),
    "a mapping that does not fit its bucket": (
        SCHEMA % "" + "    schema_mapping: {mappings: {year: {target_type: field, source: {type: folder_path}}}}\n",
        (
            "syncs.yaml:14: syncs.videos.schema_mapping.mappings.year.transform: none is not accepted, for folder_path "
            "gives text and year is of type integer in the schema of bucket bkt_media; give json_parse."
        ),
    ),
    "no mapping where the default one does not fit": (
        SCHEMA % "",
        (
            "syncs.yaml:10: syncs.videos.schema_mapping is missing; give one that fits the schema of bucket bkt_media, "
            "for the default (the file as the blob content) does not."
        ),
    ),
    "a default that nothing fills in": (
        (SCHEMA % ", default: 3").replace("clip", "content"),
        (
            "syncs.yaml:8: buckets.bkt_media.bucket_schema.properties.year.default: 3 is not accepted; give no "
            "default: an embedded bucket fills in none, a mapping with a constant does."
        ),
    ),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_wrong_input_is_one_sentence_with_file_line_field_and_accepted_form(services, case):
    text, sentence = WRONG[case]
    with pytest.raises(InvalidInput) as refused:
        applied(services, text)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("case", sorted(WRONG))
def test_wrong_input_changes_nothing(services, case):
    with pytest.raises(InvalidInput):
        applied(services, WRONG[case][0])
    store = services.store
    assert [list(store.list_connections()), list(store.list_buckets()), list(store.list_syncs())] == [[], [], []]


def test_an_unknown_key_is_told_with_the_known_ones(services):
    with pytest.raises(
        InvalidInput, match=r"^syncs.yaml:14: syncs.videos.batchsize is not a known key; the .*batch_size"
    ):
        applied(services, with_line("batchsize: 10"))


def test_a_missing_key_is_told_at_the_line_of_its_definition(services):
    with pytest.raises(InvalidInput, match=r"^syncs.yaml:10: syncs.videos.source_path is missing; give "):
        applied(services, MEDIA.replace("    source_path: media/videos\n", ""))


def test_all_problems_are_told_at_once(services):
    text = MEDIA.replace("media/videos", "Media/videos").replace("MEDIA_SECRET", "OTHER_SECRET")
    with pytest.raises(InvalidInput) as refused:
        applied(services, text)
    assert [problem.field for problem in refused.value.problems] == [
        "connections.media-s3.provider_config.credentials.secret_access_key",
        "syncs.videos.source_path",
    ]


def test_a_mapping_that_fits_its_bucket_is_taken(services):
    year = "year: {target_type: field, source: {type: folder_path}, transform: json_parse}"
    clip = "clip: {target_type: blob, source: {type: file}}"
    text = SCHEMA % "" + f"    schema_mapping: {{mappings: {{{year}, {clip}}}}}\n"
    assert set(changes(applied(services, text)).values()) == {"created"}


def test_a_new_schema_has_to_fit_the_syncs_that_no_file_defines(services):
    applied(services)
    bucket = (SCHEMA % "").partition("connections:")[2].partition("buckets:")[2].partition("syncs:")[0]
    with pytest.raises(InvalidInput) as refused:
        applied(services, f"buckets:{bucket}")
    assert str(refused.value) == (
        "syncs.yaml:2: syncs.videos.schema_mapping is missing; give one that fits the schema of bucket bkt_media, for "
        "the default (the file as the blob content) does not."
    )
    applied(services, f"buckets:{bucket}", prune=True)
    assert services.store.get_bucket("bkt_media").bucket_schema is not None


def test_a_good_set_is_created(services):
    assert changes(applied(services)) == {
        "connection media-s3": "created",
        "bucket bkt_media": "created",
        "sync videos": "created",
    }
    sync = services.store.get_sync("videos")
    assert (sync.source_path, sync.status, sync.next_sync_at) == ("media/videos", "PENDING", services.clock.now())
    assert sync.connection_id == services.store.get_connection("media-s3").connection_id


def test_the_same_set_twice_changes_nothing(services, clock):
    applied(services)
    before = services.store.get_sync("videos"), services.store.get_connection("media-s3")
    clock.advance(100)
    again = applied(services)
    assert set(changes(again).values()) == {"unchanged"}
    assert not again.changed
    assert (services.store.get_sync("videos"), services.store.get_connection("media-s3")) == before


def test_a_dry_run_tells_and_writes_nothing(services):
    assert set(changes(applied(services, dry_run=True)).values()) == {"created"}
    assert list(services.store.list_syncs()) == []


def test_a_changed_setting_is_updated_and_the_rest_stays(services):
    applied(services)
    done = applied(services, with_line("polling_interval_seconds: 60"))
    assert changes(done)["sync videos"] == "updated"
    assert services.store.get_sync("videos").polling_interval_seconds == 60


def test_a_setting_that_is_taken_out_returns_to_its_default(services):
    applied(services, with_line("polling_interval_seconds: 60"))
    assert changes(applied(services))["sync videos"] == "updated"
    assert services.store.get_sync("videos").polling_interval_seconds == 300


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            MEDIA.replace("media/videos", "media/films"),
            (
                "syncs.yaml:13: syncs.videos.source_path cannot be changed from media/videos to media/films; "
                "give the sync another name to create a new one (with --prune the old one is deleted and its objects "
                "stay)."
            ),
        ),
        (
            with_line("sync_mode: scheduled"),
            (
                "syncs.yaml:14: syncs.videos.sync_mode cannot be changed from continuous to scheduled; give the sync "
                "another name to create a new one (with --prune the old one is deleted and its objects stay)."
            ),
        ),
        (
            with_line("skip_duplicates: false"),
            (
                "syncs.yaml:14: syncs.videos.skip_duplicates cannot be changed from true to false; give the sync "
                "another name to create a new one (with --prune the old one is deleted and its objects stay)."
            ),
        ),
    ],
)
def test_what_a_sync_is_cannot_change(services, text, sentence):
    applied(services)
    with pytest.raises(InvalidInput) as refused:
        applied(services, text)
    assert str(refused.value) == sentence


def test_the_other_word_for_a_mode_is_no_change(services):
    applied(services, with_line("sync_mode: one_time"))
    assert changes(applied(services, with_line("sync_mode: initial_only")))["sync videos"] == "unchanged"


def test_a_connection_keeps_its_provider(services):
    applied(services)
    text = MEDIA.replace("provider_type: s3", "provider_type: tigris")
    with pytest.raises(InvalidInput) as refused:
        applied(services, text)
    assert "connections.media-s3.provider_type cannot be changed from s3 to tigris" in str(refused.value)


def test_references_are_stored_as_references(services):
    applied(services)
    stored = services.store.credentials_of(services.store.get_connection("media-s3").connection_id)
    assert stored["secret_access_key"] == {"env": "MEDIA_SECRET"}


def test_another_secret_is_an_update(services):
    applied(services, MEDIA.replace("{env: MEDIA_SECRET}", "first"))
    done = applied(services, MEDIA.replace("{env: MEDIA_SECRET}", "second"))
    assert changes(done)["connection media-s3"] == "updated"
    stored = services.store.credentials_of(services.store.get_connection("media-s3").connection_id)
    assert stored["secret_access_key"] == "second"


def test_a_repaired_connection_may_be_used_again(services):
    applied(services)
    connection = services.store.get_connection("media-s3")
    suspended = connection.model_copy(update={"status": TaskStatus.SUSPENDED, "consecutive_failures": 5})
    services.store.save_connection(suspended, credentials=None)
    applied(services, MEDIA.replace("{env: MEDIA_SECRET}", "repaired"))
    repaired = services.store.get_connection("media-s3")
    assert (repaired.status, repaired.consecutive_failures) == (TaskStatus.ACTIVE, 0)
    assert repaired.connection_id == connection.connection_id


def test_a_secret_in_a_file_is_warned_of_without_showing_it(services):
    done = applied(services, MEDIA.replace("{env: MEDIA_SECRET}", "hush-hush"))
    assert done.warnings == (
        (
            "syncs.yaml:6: connections.media-s3.provider_config.credentials.secret_access_key holds the secret "
            "as it is; give {env: NAME} to keep it out of the file."
        ),
    )


def test_what_the_files_do_not_define_stays_without_prune(services):
    applied(services)
    applied(services, "buckets:\n  bkt_media: {description: Media library}\n")
    assert [sync.name for sync in services.store.list_syncs()] == ["videos"]


def test_prune_deletes_syncs_and_connections_but_no_bucket(services):
    applied(services)
    done = applied(services, "buckets: {}\n", prune=True)
    assert changes(done) == {"sync videos": "removed", "connection media-s3": "removed"}
    with pytest.raises(NotFound):
        services.store.get_sync("videos")
    assert [bucket.bucket_id for bucket in services.store.list_buckets()] == ["bkt_media"]


def test_prune_takes_no_connection_from_a_sync_that_stays(services):
    applied(services)
    text = MEDIA[MEDIA.index("buckets:") :]
    assert changes(applied(services, text))["sync videos"] == "unchanged"
    with pytest.raises(InvalidInput, match="there is no connection media-s3; the connections are none"):
        applied(services, text, prune=True)
    assert [connection.name for connection in services.store.list_connections()] == ["media-s3"]


def test_a_sync_may_name_its_bucket_and_connection_as_they_are_stored(services):
    applied(services)
    connection_id = services.store.get_connection("media-s3").connection_id
    text = f"syncs:\n  films: {{bucket_id: bkt_media, connection_id: {connection_id}, source_path: media/films}}\n"
    assert changes(applied(services, text)) == {"sync films": "created"}


def test_a_variable_that_is_unset_later_is_told_when_the_connection_is_used(services, monkeypatch):
    applied(services)
    monkeypatch.delenv("MEDIA_KEY", raising=False)
    with pytest.raises(
        ConfigurationError, match=r"connection media-s3: credentials.access_key_id: .* MEDIA_KEY is not set"
    ):
        services.provider_for("media-s3", "media/videos")


def test_a_value_that_does_not_fit_its_field_is_told_without_showing_it(services):
    with pytest.raises(InvalidInput) as refused:
        applied(services, variables={**VARIABLES, "MEDIA_SECRET": " padded-secret "})
    assert "connections.media-s3.provider_config.credentials.secret_access_key" in str(refused.value)
    assert "padded-secret" not in str(refused.value)


def test_a_provider_without_an_adapter_is_told_with_those_there_are(services):
    with pytest.raises(InvalidInput) as refused:
        apply_definitions(
            services.store,
            load_text(MEDIA.replace("provider_type: s3", "provider_type: snowflake"), file="syncs.yaml"),
            offered=Offered(frozenset({ProviderType.S3, ProviderType.TIGRIS}), frozenset({Destination.EMBEDDED})),
            lookup=lambda _name: "x",
            clock=services.clock,
        )
    assert str(refused.value) == (
        "syncs.yaml:3: connections.media-s3.provider_type: snowflake is not offered yet; give one of s3, tigris."
    )


def test_a_destination_without_an_adapter_is_told_with_those_there_are(services):
    hosted = "{destination: mixpeek, mixpeek: {namespace: ns_a, api_key: {env: MEDIA_KEY}}}"
    with pytest.raises(InvalidInput) as refused:
        apply_definitions(
            services.store,
            load_text(MEDIA.replace("{description: Media library}", hosted), file="syncs.yaml"),
            offered=Offered(frozenset({ProviderType.S3}), frozenset({Destination.EMBEDDED})),
            lookup=lambda _name: "x",
            clock=services.clock,
        )
    assert str(refused.value) == (
        "syncs.yaml:8: buckets.bkt_media.destination: mixpeek is not offered yet; give embedded."
    )
