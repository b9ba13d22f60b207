"""Bytes whose ETag is no MD5 are held against the checksum that the service keeps of the whole object."""

import base64
import hashlib
import re
import zlib

import pytest
from awscrt import checksums

from mixsync_dagster.errors import ItemCorrupt
from mixsync_dagster.model.items import SourceItem
from mixsync_dagster.providers.s3.checksums import whole_checksum
from mixsync_dagster.providers.s3.provider import S3Provider
from mixsync_dagster.testing.fault_proxy import CorruptByte, FaultProxy
from mixsync_dagster.transport.clock import SystemClock
from mixsync_dagster_tests.engine.conftest import make_world, template  # noqa: F401 - fixtures
from mixsync_dagster_tests.providers.s3.faulted import Faulted
from mixsync_dagster_tests.support.s3_servers import Reply

MODIFIED = "Tue, 24 Nov 2026 03:35:31 GMT"
PARTS = "f" * 32 + "-2"
"""The ETag of an object that came in parts."""
SMALL = b"the content"
LARGE = bytes(range(256)) * 4096 * 3
PART = 5 * 1024 * 1024

# https://reveng.sourceforge.io/crc-catalogue gives these for "123456789"; the hashes are those of RFC 1321 and NIST.
PUBLISHED = {
    "crc64nvme": "ae8b14860a799888",
    "crc32c": "e3069283",
    "crc32": "cbf43926",
    "sha1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "sha256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
}


def told(value: bytes) -> str:
    return base64.b64encode(value).decode()


def sums(content):
    return {
        "crc64nvme": checksums.crc64nvme(content).to_bytes(8, "big"),
        "crc32c": checksums.crc32c(content).to_bytes(4, "big"),
        "crc32": zlib.crc32(content).to_bytes(4, "big"),
        "sha1": hashlib.sha1(content, usedforsecurity=False).digest(),
        "sha256": hashlib.sha256(content).digest(),
        "sha512": hashlib.sha512(content).digest(),
        "md5": hashlib.md5(content, usedforsecurity=False).digest(),
    }


@pytest.mark.parametrize(("name", "value"), PUBLISHED.items())
def test_the_published_check_values_match(name, value):
    content = whole_checksum({f"X-Amz-Checksum-{name.upper()}": told(bytes.fromhex(value))})
    for piece in (b"1234", b"", b"56789"):
        content.update(piece)
    assert content.matches()
    content.update(b"0")
    assert not content.matches()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-checksum-crc32": told(b"abcd"), "x-amz-checksum-type": "COMPOSITE"},
        {"x-amz-checksum-crc32": told(b"abcd") + "-3"},
        {"x-amz-checksum-crc32": told(b"abc")},
        {"x-amz-checksum-crc32": "not base64!"},
        {"x-amz-checksum-xxhash64": told(b"abcdefgh")},
    ],
    ids=["none", "type only", "composite", "composite by its value", "too short", "unreadable", "unknown"],
)
def test_what_cannot_be_checked_is_no_checksum(headers):
    assert whole_checksum(headers) is None


def test_an_unreadable_checksum_does_not_hide_another_one():
    headers = {"x-amz-checksum-crc64nvme": "!", "x-amz-checksum-sha256": told(hashlib.sha256(SMALL).digest())}
    content = whole_checksum(headers)
    content.update(SMALL)
    assert content.matches()


@pytest.fixture
def provider(lying_settings):
    return S3Provider(lying_settings, SystemClock())


def item_of(content, path="a.txt", version=PARTS):
    return SourceItem("store/bucket/" + path, path, version, size_bytes=len(content))


def answered(body, etag=PARTS, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(200, body, {"ETag": f'"{etag}"', "Last-Modified": MODIFIED} | named)


def fetch(provider, item):
    return b"".join(provider.read(item))


ITEMS = pytest.mark.parametrize("content", [SMALL, LARGE], ids=["small", "large"])


@ITEMS
@pytest.mark.parametrize("name", sums(b""))
def test_bytes_of_many_parts_are_held_against_the_checksum_of_the_whole(provider, lying_server, content, name):
    header = {f"x-amz-checksum-{name}": told(sums(content)[name])}
    lying_server.answer = lambda _: answered(content, **header)
    assert fetch(provider, item_of(content)) == content
    wrong = content[:-1] + bytes([content[-1] ^ 1])
    lying_server.answer = lambda _: answered(wrong, **header)
    with pytest.raises(ItemCorrupt, match="checksum"):
        fetch(provider, item_of(content))
    # A part of an object would be answered with the checksum of the whole: parts are never asked for.
    for request in lying_server.seen:
        headers = {name.lower(): value for name, value in request.headers.items()}
        assert headers["x-amz-checksum-mode"] == "ENABLED"
        assert "x-amz-checksum-mode" in headers["authorization"]
        assert "range" not in headers


@ITEMS
def test_a_checksum_of_parts_is_left_alone(provider, lying_server, content):
    lying_server.answer = lambda _: answered(content, x_amz_checksum_crc32=told(b"none") + "-2")
    assert fetch(provider, item_of(content)) == content


@ITEMS
def test_bytes_that_a_key_encrypts_are_held_against_the_checksum(provider, lying_server, content):
    item = item_of(content, version="f" * 32)
    right = {"x_amz_server_side_encryption": "aws:kms", "x_amz_checksum_crc32": told(sums(content)["crc32"])}
    wrong = content[:-1] + bytes([content[-1] ^ 1])
    # The first one tells by a HEAD that keys are in use here; from then on the answers themselves tell checksums.
    for _ in range(2):
        lying_server.answer = lambda _: answered(wrong, item.version, **right)
        with pytest.raises(ItemCorrupt, match="checksum"):
            fetch(provider, item)
        lying_server.answer = lambda _: answered(content, item.version, **right)
        assert fetch(provider, item) == content


def test_an_object_without_a_key_is_still_held_against_its_etag_where_others_have_one(provider, lying_server):
    lying_server.answer = lambda _: answered(SMALL, "f" * 32, x_amz_server_side_encryption="aws:kms")
    assert fetch(provider, item_of(SMALL, version="f" * 32)) == SMALL
    plain = item_of(SMALL, version=hashlib.md5(SMALL, usedforsecurity=False).hexdigest())
    lying_server.answer = lambda _: answered(SMALL[::-1], plain.version)
    with pytest.raises(ItemCorrupt, match="checksum"):
        fetch(provider, plain)


@pytest.fixture
def faulted(request, make_world, server):  # noqa: F811 - the fixture above
    bucket = request.getfixturevalue(f"{server}_bucket")
    with FaultProxy(bucket.server.endpoint_url, seed=1) as proxy:
        yield Faulted(make_world(), bucket, proxy)


def put_in_parts(faulted, key, parts, **options):
    """Upload in parts, as other tools do; with a `ChecksumAlgorithm` the service keeps a checksum of that kind."""
    client, about = faulted.bucket.client, {"Bucket": faulted.bucket.name, "Key": key}
    about["UploadId"] = client.create_multipart_upload(**about, **options)["UploadId"]
    algorithm = options.get("ChecksumAlgorithm")
    sent = []
    for number, part in enumerate(parts, 1):
        given = {f"Checksum{algorithm}": told(sums(part)[algorithm.lower()])} if algorithm else {}
        answer = client.upload_part(**about, PartNumber=number, Body=part, **given)
        sent.append({"PartNumber": number, "ETag": answer["ETag"], **given})
    etag = client.complete_multipart_upload(**about, MultipartUpload={"Parts": sent})["ETag"]
    assert etag.strip('"').endswith(f"-{len(parts)}")
    faulted.source[key] = b"".join(parts)


# moto computes CRC32C only with a package more, and answers with something else without it.
@pytest.mark.parametrize(
    ("server", "algorithm"),
    [("moto", "CRC64NVME"), ("moto", "CRC32"), ("seaweedfs", "CRC64NVME"), ("seaweedfs", "CRC32C")],
)
@pytest.mark.parametrize("parts", [[b"x" * PART, SMALL], [SMALL]], ids=["large", "small"])
def test_a_changed_byte_of_an_object_of_many_parts_is_never_committed(faulted, algorithm, parts):
    put_in_parts(faulted, "parts.bin", parts, ChecksumAlgorithm=algorithm, ChecksumType="FULL_OBJECT")
    position = len(b"".join(parts)) // 2
    faulted.proxy.add(CorruptByte(position), path=re.escape("/parts.bin") + "$", times=1)
    record = faulted.run()
    assert faulted.proxy.counts() == {"corrupt": 1}
    assert (record.status, record.counters.failed) == ("completed_with_errors", 1)
    assert faulted.world.letters()["parts.bin"].error_type == "checksum_mismatch"
    assert "parts.bin" not in faulted.world.contents()
    faulted.settles()
