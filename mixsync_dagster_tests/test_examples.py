from pathlib import Path

import pytest

import mixsync_dagster
from mixsync_dagster.control.definitions import parse_definitions
from mixsync_dagster.control.syncs import check_request
from mixsync_dagster.control.yaml_files import load_definitions

EXAMPLES = Path(mixsync_dagster.__file__).parent / "examples"


@pytest.mark.parametrize(("folder", "syncs"), [("media", ["videos", "reports", "archive"]), ("mixpeek", ["films"])])
def test_the_examples_are_accepted(folder: str, syncs: list[str]):
    document = parse_definitions(load_definitions([EXAMPLES / folder]))
    assert list(document.syncs) == syncs
    for name, sync in document.syncs.items():
        check_request(
            sync, document.connections[sync.connection_id].provider_type, document.buckets[sync.bucket_id], where=name
        )
        assert sync.bucket_id in document.buckets
