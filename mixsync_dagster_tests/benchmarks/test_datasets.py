import hashlib
from pathlib import Path

import pytest

from mixsync_dagster_tests.benchmarks.datasets import Dataset, filler


def test_a_listing_has_records_of_one_width_in_key_order(tmp_path: Path) -> None:
    Dataset(2001, 3072).write_listing(tmp_path)
    data = (tmp_path / "objects-2001-of-3072.entries").read_bytes()
    width = len(data) // 2001
    records = [data[start : start + width] for start in range(0, len(data), width)]
    assert len(records) == 2001
    assert records[0].startswith(b"<Contents><Key>data/000/000000.bin</Key>")
    assert records[2000].startswith(b"<Contents><Key>data/002/002000.bin</Key>")
    assert all(record.endswith(b"</Contents>") for record in records)


def test_an_entity_tag_is_the_md5_of_the_body(tmp_path: Path) -> None:
    Dataset(20, 3072).write_listing(tmp_path)
    data = (tmp_path / "objects-20-of-3072.entries").read_text()
    body = filler()[: 2048 + 3 * 128 - 32] + b"00000000000000000000000000000003"
    digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
    assert "<Key>data/000/000003.bin</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified>" in data
    assert f"<ETag>&quot;{digest}&quot;</ETag><Size>2432</Size>" in data


def test_latency_is_told_by_the_bucket_and_shares_the_listing() -> None:
    assert Dataset(10, 3072, latency_ms=30).bucket == "objects-10-of-3072-after-30ms"
    assert Dataset(10, 3072, latency_ms=30).stored_name == Dataset(10, 3072).stored_name


def test_sizes_of_different_widths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="different numbers of digits"):
        Dataset(20, 10_000).write_listing(tmp_path)


def test_a_tree_has_the_sizes_and_times_of_the_objects(tmp_path: Path) -> None:
    tree = Dataset(3, 3072).write_tree(tmp_path)
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    assert [str(path.relative_to(tree)) for path in files] == [
        "data/000/000000.bin",
        "data/000/000001.bin",
        "data/000/000002.bin",
    ]
    assert [path.stat().st_size for path in files] == [2048, 2176, 2304]
    assert {path.stat().st_mtime for path in files} == {1767323045.0}
