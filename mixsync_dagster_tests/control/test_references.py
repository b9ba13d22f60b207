import pytest

from mixsync_dagster.control.references import find_bucket, find_connection, find_sync
from mixsync_dagster.errors import NotFound
from mixsync_dagster_tests.control.support import applied


def test_ids_and_names_both_find(services):
    applied(services)
    for find, name in ((find_sync, "videos"), (find_connection, "media-s3")):
        by_name = find(services.store, name)
        identifier = getattr(by_name, "sync_config_id", None) or by_name.connection_id
        assert find(services.store, identifier) == by_name
    assert find_bucket(services.store, "bkt_media").description == "Media library"


@pytest.mark.parametrize(
    ("find", "asked", "sentence"),
    [
        (find_sync, "vidoes", "there is no sync vidoes; did you mean videos?"),
        (find_sync, "zzz", "there is no sync zzz; `mixsync syncs` shows what there is."),
        (find_bucket, "bkt_medai", "there is no bucket bkt_medai; did you mean bkt_media?"),
        (find_connection, "zzz", "there is no connection zzz; `mixsync connections` shows what there is."),
    ],
)
def test_what_is_not_there_is_told_with_the_nearest_name(services, find, asked, sentence):
    applied(services)
    with pytest.raises(NotFound) as missing:
        find(services.store, asked)
    assert str(missing.value) == sentence
