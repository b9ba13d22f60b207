"""What the README shows as configuration is accepted."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from mixsync_dagster.control.definitions import parse_definitions
from mixsync_dagster.control.yaml_files import load_definitions
from mixsync_dagster.model.documents import ConfigDocument
from mixsync_dagster.model.validation import parse
from mixsync_dagster.orchestration.ops import SyncBucketConfig
from mixsync_dagster_tests.docs import readme

SECTIONS = {"connections", "buckets", "syncs"}


def yaml_blocks() -> list[dict[str, Any]]:
    return [yaml.safe_load(block.text) for block in readme.blocks("yaml")]


def document_of(blocks: list[dict[str, Any]]) -> ConfigDocument:
    whole: dict[str, Any] = {}
    for block in blocks:
        whole |= block
    return parse(ConfigDocument, whole)


def test_the_first_sync_is_accepted_as_one_document() -> None:
    document = document_of([block for block in yaml_blocks() if SECTIONS & set(block)][:3])
    assert list(document.connections) == ["media-s3"]
    assert list(document.buckets) == ["bkt_media"]
    assert list(document.syncs) == ["videos"]
    assert document.syncs["videos"].bucket_id == "bkt_media"
    assert document.syncs["videos"].connection_id == "media-s3"


def test_the_files_for_a_mixpeek_bucket_are_those_that_are_packaged() -> None:
    shown = [block.text for block in readme.blocks("yaml") if SECTIONS & set(yaml.safe_load(block.text))][3:]
    folder = readme.ROOT / "mixsync_dagster" / "examples" / "mixpeek"
    assert shown == [(folder / f"{name}.yaml").read_text() for name in ("connections", "buckets", "syncs")]


def test_the_run_config_is_accepted() -> None:
    configs = [block for block in yaml_blocks() if not SECTIONS & set(block)]
    assert configs == [{"sync": "videos", "full_sync": False}]
    assert SyncBucketConfig(**configs[0]).sync == "videos"


def test_every_block_of_yaml_is_checked_by_one_of_these() -> None:
    assert len(yaml_blocks()) == 7


def test_the_policy_allows_reading_and_nothing_else() -> None:
    policy = json.loads(readme.blocks("json")[0].text)
    actions = [
        action
        for statement in policy["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    ]
    assert actions == ["s3:ListBucket", "s3:GetObject", "s3:GetObjectTagging"]


@pytest.mark.parametrize("folder", ["media", "mixpeek"])
def test_the_packaged_examples_are_accepted(folder: str) -> None:
    definitions = load_definitions([readme.ROOT / "mixsync_dagster" / "examples" / folder])
    document = parse_definitions(definitions)
    assert {sync.connection_id for sync in document.syncs.values()} <= set(document.connections)
    assert {sync.bucket_id for sync in document.syncs.values()} <= set(document.buckets)
