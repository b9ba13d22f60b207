"""Listing answers made for tests: in the layouts that services send."""

from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

LAYOUTS = {
    "aws": ("Key", "LastModified", "ETag", "ChecksumAlgorithm", "Size", "StorageClass"),
    "minio": ("Key", "LastModified", "ETag", "Size", "Owner", "StorageClass"),
    "seaweedfs": ("Key", "ETag", "Size", "StorageClass", "LastModified"),
    "r2": ("Key", "Size", "LastModified", "ETag", "StorageClass"),
    "bare": ("Key", "LastModified", "ETag", "Size"),
}


def entry(key, size=1, etag='"0123456789abcdef0123456789abcdef"', storage_class="STANDARD", modified=None):
    return {
        "Key": key.encode() if isinstance(key, str) else key,
        "Size": str(size),
        "ETag": etag,
        "StorageClass": storage_class,
        "LastModified": modified or "2026-01-02T03:04:05.000Z",
    }


def answer(entries, *, layout="aws", token=None, prefixes=(), encoded=True, plus=True, space="", quotes="&quot;"):
    """Return the body of a ListObjectsV2 answer."""
    rows = "".join(
        _row(one, LAYOUTS[layout], encoded=encoded, plus=plus, space=space, quotes=quotes) for one in entries
    )
    folders = "".join(f"<CommonPrefixes><Prefix>{quote(one)}</Prefix></CommonPrefixes>" for one in prefixes)
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>bucket</Name><Prefix></Prefix><IsTruncated>{'false' if token is None else 'true'}</IsTruncated>"
        f"{rows}{folders}"
        + ("" if token is None else f"<NextContinuationToken>{escape(token)}</NextContinuationToken>")
        + ("<EncodingType>url</EncodingType>" if encoded else "")
        + "</ListBucketResult>"
    )
    return text.encode("utf-8", "surrogateescape")


def _row(one, layout, *, encoded, plus, space, quotes):
    key = (quote_plus if plus else quote)(one["Key"], safe="/") if encoded else escape(one["Key"].decode())
    values = {
        **one,
        "Key": key,
        "ETag": one["ETag"].replace('"', quotes),
        "ChecksumAlgorithm": "CRC64NVME",
        "Owner": "<ID>id</ID><DisplayName>Key</DisplayName>",
    }
    parts = [f"<{name}>{values[name]}</{name}>{space}" for name in layout if values[name] is not None]
    return f"{space}<Contents>{space}{''.join(parts)}</Contents>"
