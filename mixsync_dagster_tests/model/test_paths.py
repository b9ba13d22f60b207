from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.paths import DrivePath, S3Path, SharePointPath, SnowflakeTable
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.model.provider_kinds import parse_source_path
from mixsync_dagster_tests.model.samples import QUICK


@pytest.mark.parametrize(
    ("path", "bucket", "prefix", "folder"),
    [
        ("my-bucket", "my-bucket", "", ""),
        ("my-bucket/", "my-bucket", "", ""),
        ("my-bucket/videos", "my-bucket", "videos", "videos/"),
        ("my-bucket/videos/", "my-bucket", "videos/", "videos/"),
        ("s3://my-bucket/a/b c", "my-bucket", "a/b c", "a/b c/"),
        ("my.bucket.1//x", "my.bucket.1", "/x", "/x/"),
        ("abc/日本", "abc", "日本", "日本/"),
        ("a" * 63, "a" * 63, "", ""),
        ("abc/" + "k" * 1024, "abc", "k" * 1024, "k" * 1024 + "/"),
    ],
)
@pytest.mark.parametrize("provider", [ProviderType.S3, ProviderType.TIGRIS])
def test_an_s3_path_is_bucket_and_prefix(provider, path, bucket, prefix, folder):
    parsed = parse_source_path(provider, path)
    assert parsed == S3Path(bucket, prefix)
    assert parsed.folder_prefix == folder


@pytest.mark.parametrize(
    "path",
    ["", "/", "/my-bucket", "ab", "a" * 64, "My-Bucket", "my_bucket", "-abc", "abc-", ".abc", "a..b", "192.168.1.1/x",
     "gs://bucket", "my bucket/x", "abc/" + "é" * 513, "abc/\x00"],
)  # fmt: skip
def test_a_bad_s3_path_is_refused(path):
    with pytest.raises(InvalidInput, match="source_path: "):
        parse_source_path(ProviderType.S3, path)


@pytest.mark.parametrize(
    ("path", "parsed"),
    [
        ("0AH-Xabc123", DrivePath("0AH-Xabc123", None)),
        ("root", DrivePath("root", None)),
        ("/Marketing/Assets", DrivePath(None, ("Marketing", "Assets"))),
        ("/Marketing/Assets/", DrivePath(None, ("Marketing", "Assets"))),
        ("/", DrivePath(None, ())),
    ],
)
def test_a_drive_path_is_an_id_or_begins_with_a_slash(path, parsed):
    assert parse_source_path(ProviderType.GOOGLE_DRIVE, path) == parsed


@pytest.mark.parametrize("path", ["", "Marketing/Assets", "/a//b", "folder id", "https://drive.google.com/x"])
def test_a_bad_drive_path_is_refused(path):
    with pytest.raises(InvalidInput, match="give a folder id such as 0AH-Xabc123, or a path"):
        parse_source_path(ProviderType.GOOGLE_DRIVE, path)


@pytest.mark.parametrize(
    ("path", "parsed"),
    [
        (
            "/sites/Legal/Shared Documents/Contracts/2024",
            SharePointPath("sites/Legal", "Shared Documents", ("Contracts", "2024")),
        ),
        ("/sites/Legal/Shared Documents", SharePointPath("sites/Legal", "Shared Documents", ())),
        ("/teams/Legal", SharePointPath("teams/Legal", None, ())),
        ("/Documents/Projects", SharePointPath(None, None, ("Documents", "Projects"))),
        ("/", SharePointPath(None, None, ())),
    ],
)
def test_a_sharepoint_path_is_site_library_and_folders(path, parsed):
    assert parse_source_path(ProviderType.SHAREPOINT, path) == parsed


@pytest.mark.parametrize("path", ["/sites", "/sites//Docs", "/sites/Legal/a:b", "/a\\b", "https://x/sites/Legal"])
def test_a_bad_sharepoint_path_is_refused(path):
    with pytest.raises(InvalidInput, match="give a path"):
        parse_source_path(ProviderType.SHAREPOINT, path)


@pytest.mark.parametrize(
    ("path", "parts", "quoted"),
    [
        ("PROD.PUBLIC.CUSTOMERS", ("PROD", "PUBLIC", "CUSTOMERS"), '"PROD"."PUBLIC"."CUSTOMERS"'),
        ("public.customers", (None, "PUBLIC", "CUSTOMERS"), '"PUBLIC"."CUSTOMERS"'),
        ("customers", (None, None, "CUSTOMERS"), '"CUSTOMERS"'),
        ('db."My.Schema"."a""b"', ("DB", "My.Schema", 'a"b'), '"DB"."My.Schema"."a""b"'),
        ("_t$1", (None, None, "_T$1"), '"_T$1"'),
    ],
)
def test_a_snowflake_path_is_up_to_three_identifiers(path, parts, quoted):
    table = parse_source_path(ProviderType.SNOWFLAKE, path)
    assert table == SnowflakeTable(*parts)
    assert table.quoted == quoted


@pytest.mark.parametrize(
    "path", ["", ".", "a.", ".a", "a..b", "a.b.c.d", "1table", 'a"b', '"a', "a b", "t; DROP TABLE x", 'a."b"c', "a\n"]
)
def test_a_bad_snowflake_path_is_refused(path):
    with pytest.raises(InvalidInput, match=r"give DATABASE\.SCHEMA\.TABLE, SCHEMA\.TABLE or TABLE"):
        parse_source_path(ProviderType.SNOWFLAKE, path)


@QUICK
@given(st.sampled_from(list(ProviderType)), st.text(max_size=40))
def test_any_text_is_parsed_or_refused_with_a_sentence(provider, path):
    sentence = "source_path: "
    try:
        parsed = parse_source_path(provider, path)
    except InvalidInput as error:
        sentence, parsed = str(error), None
    assert sentence.startswith("source_path: ")
    assert parsed is None or parsed == parse_source_path(provider, path)
