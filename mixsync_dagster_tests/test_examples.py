from pathlib import Path

import mixsync_dagster
from mixsync_dagster.control.definitions import parse_definitions
from mixsync_dagster.control.syncs import check_request
from mixsync_dagster.control.yaml_files import load_definitions

EXAMPLES = Path(mixsync_dagster.__file__).parent / "examples"


def test_the_examples_are_accepted():
    document = parse_definitions(load_definitions([EXAMPLES]))
    assert list(document.syncs) == ["videos", "reports", "archive"]
    for name, sync in document.syncs.items():
        check_request(
            sync, document.connections[sync.connection_id].provider_type, document.buckets[sync.bucket_id], where=name
        )
        assert sync.bucket_id in document.buckets
