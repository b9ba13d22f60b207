"""How the services that speak S3 differ: one row each, chosen by name in the connection, never by sniffing a host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from mixsync_dagster.errors import ConfigurationError

Addressing = Literal["path", "virtual"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One service's ways."""

    name: str
    documentation: str
    """Page of the service's own documentation that the row follows."""
    default_endpoint: str | None = None
    """Endpoint when the connection gives none; `{region}` is filled in. None: the connection has to give one."""
    default_region: str = "us-east-1"
    addressing: Addressing = "path"
    """Where the bucket stands in an address unless the connection says otherwise."""
    ordered_listing: bool = True
    """ListObjectsV2 answers in byte order of the UTF-8 keys and honours start-after; False promises nothing."""
    etag_is_md5: bool = True
    """A plain ETag of 32 hex digits is the content's MD5 (encryption by KMS or a customer's key excepted)."""
    tagging: bool = True
    """GetObjectTagging is served."""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Sent, signed, with every request that reads."""
    query_header: str | None = None
    """Takes a condition on Last-Modified, which the service has an index on; None: listings are not filtered."""
    same_hosts: frozenset[str] = frozenset()
    """Hosts that serve the same buckets as the default endpoint: an object has one identity at all of them."""


_ROWS = (
    Dialect(
        name="aws",
        documentation="https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html",
        default_endpoint="https://s3.{region}.amazonaws.com",
        addressing="virtual",
    ),
    Dialect(
        name="tigris",
        documentation="https://www.tigrisdata.com/docs/sdks/s3/",
        default_endpoint="https://fly.storage.tigris.dev",
        default_region="auto",
        addressing="virtual",  # new buckets refuse path style
        # Global buckets are eventually consistent across regions without it.
        headers=MappingProxyType({"X-Tigris-Consistent": "true"}),
        query_header="X-Tigris-Query",
        same_hosts=frozenset({"fly.storage.tigris.dev", "t3.storage.dev"}),
    ),
    Dialect(
        name="minio",
        documentation="https://docs.min.io/community/minio-object-store/reference/s3-api-compatibility.html",
    ),
    Dialect(
        name="r2",
        documentation="https://developers.cloudflare.com/r2/api/s3/api/",
        default_region="auto",
        tagging=False,
    ),
    Dialect(
        name="wasabi",
        documentation="https://docs.wasabi.com/docs/wasabi-api",
        default_endpoint="https://s3.{region}.wasabisys.com",
    ),
    Dialect(
        name="spaces",
        documentation="https://docs.digitalocean.com/reference/api/spaces/",
        default_endpoint="https://{region}.digitaloceanspaces.com",
        default_region="nyc3",
        addressing="virtual",
    ),
    Dialect(
        name="b2",
        documentation="https://www.backblaze.com/docs/cloud-storage-s3-compatible-api",
        default_endpoint="https://s3.{region}.backblazeb2.com",
        default_region="us-west-004",
        tagging=False,
    ),
    # An unknown server may list folder by folder (SeaweedFS does, and its start-after skips keys): reading spans out of
    # such a listing would remove live objects, so nothing is promised here.
    Dialect(
        name="generic",
        documentation="https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html",
        ordered_listing=False,
    ),
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({row.name: row for row in _ROWS})
"""Every row by its name."""


def dialect(name: str) -> Dialect:
    """Return the row of this name. Raises ConfigurationError naming the accepted ones."""
    row = DIALECTS.get(name)
    if row is None:
        raise ConfigurationError(f"dialect: {name} is not accepted; give one of {', '.join(DIALECTS)}.")
    return row
