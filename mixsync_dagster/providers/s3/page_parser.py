"""Reading one ListObjectsV2 answer, fast where it is as usual and exactly where it is not.

A regular expression made for the page's own layout takes every `<Contents>` or, when it does not account for all of
them, expat does. Both give the same columns; a test compares them over generated pages.
"""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes
from xml.parsers import expat

from mixsync_dagster.errors import ProviderUnavailable

_NEEDED = ("Key", "LastModified", "ETag", "Size", "StorageClass")
_OPENING = b"<Contents>"
_CLOSING = b"</Contents>"
_ROOT_END = b"</ListBucketResult>"
# Elements that some objects of a page have and others have not.
_NESTED = rb"<(?:Owner|RestoreStatus)>(?:<\w+>[^<]*</\w+>)*</(?:Owner|RestoreStatus)>"
_EXTRA = rb"(?:<Checksum\w+>[^<]*</Checksum\w+>|" + _NESTED + rb")*"
_TAG = re.compile(rb"<(/?)(\w+)>")
_TRUNCATED = re.compile(rb"<IsTruncated>\s*(true|false)\s*</IsTruncated>")
_TOKEN = re.compile(rb"<NextContinuationToken>([^<]*)</NextContinuationToken>")
_ENCODING = re.compile(rb"<EncodingType>\s*url\s*</EncodingType>")
_SPLIT = b"<"  # never inside an element's text, so it can hold keys apart


@dataclass(slots=True)
class ListedPage:
    """The columns of one answer, one entry an object, in the order of the answer."""

    keys: list[bytes]
    """Raw key bytes, decoded from URL encoding and XML."""
    modified: Sequence[bytes]
    etags: Sequence[bytes]
    """As sent, with quotes or without, quotes maybe as entities."""
    sizes: Sequence[bytes]
    classes: Sequence[bytes]
    """Storage classes; empty where the answer has none."""
    prefixes: list[bytes]
    """Common prefixes; only asked for with a delimiter."""
    truncated: bool
    token: str | None
    """Continues a truncated listing; None when the answer gives none."""

    def picked(self, rows: Sequence[int]) -> ListedPage:
        """Return the page with these of its rows only."""
        return ListedPage(
            [self.keys[row] for row in rows],
            [self.modified[row] for row in rows],
            [self.etags[row] for row in rows],
            [self.sizes[row] for row in rows],
            [self.classes[row] for row in rows],
            self.prefixes,
            truncated=self.truncated,
            token=self.token,
        )


def parse_page(body: bytes) -> ListedPage:
    """Return the columns of an answer. Raises ProviderUnavailable when it is no whole ListObjectsV2 answer."""
    if not body.rstrip().endswith(_ROOT_END):
        raise ProviderUnavailable("A listing answer is cut short or is no listing at all.")
    return _parse_fast(body) or parse_exactly(body)


def _parse_fast(body: bytes) -> ListedPage | None:
    """Return the columns, or None when the page is not of the usual make."""
    start = body.find(_OPENING)
    end = body.rfind(_CLOSING)
    if start < 0 or end < 0:
        return None
    order = _layout(body[start : body.find(_CLOSING, start)])
    if order is None:
        return None
    columns = list(zip(*_pattern(order).findall(body, start), strict=True))
    if not columns or len(columns[0]) != body.count(_OPENING):
        return None
    by_name = dict(zip(order, columns, strict=True))
    tail = body[:start] + body[end:]
    truncated, token = _TRUNCATED.search(tail), _TOKEN.search(tail)
    if b"<CommonPrefixes>" in tail or truncated is None or not _ENCODING.search(tail):
        return None
    keys = _unquoted(by_name["Key"])
    if keys is None:
        return None
    return ListedPage(
        keys=keys,
        modified=by_name["LastModified"],
        etags=by_name["ETag"],
        sizes=by_name["Size"],
        classes=by_name.get("StorageClass") or [b""] * len(keys),
        prefixes=[],
        truncated=truncated[1] == b"true",
        token=None if token is None else html.unescape(token[1].decode("utf-8", "replace")),
    )


def _layout(block: bytes) -> tuple[str, ...] | None:
    """Return the order of the needed elements in the first block."""
    depth = 0
    order: list[str] = []
    for slash, raw in _TAG.findall(block):
        name = raw.decode("ascii")
        if slash:
            depth -= 1
        else:
            depth += 1
            # Depth 1 is Contents itself.
            if depth == 2 and name in _NEEDED:  # noqa: PLR2004 - see above
                order.append(name)
    complete = len(set(order)) == len(order) and set(_NEEDED[:4]) <= set(order)
    return tuple(order) if complete else None


@functools.lru_cache(maxsize=64)
def _pattern(order: tuple[str, ...]) -> re.Pattern[bytes]:
    parts = [_OPENING]
    for name in order:
        tag = name.encode("ascii")
        parts += [_EXTRA if name in ("Size", "StorageClass") else b"", b"<%b>([^<]*)</%b>" % (tag, tag)]
    return re.compile(b"".join([*parts, _EXTRA, _CLOSING]))


def _unquoted(keys: Sequence[bytes]) -> list[bytes] | None:
    """Return keys without URL encoding; None when entities show that they are not (only) URL-encoded."""
    joined = _SPLIT.join(keys)
    if b"&" in joined:
        return None
    if b"%" not in joined and b"+" not in joined:
        return list(keys)
    decoded = unquote_to_bytes(joined.replace(b"+", b" ")).split(_SPLIT)
    # A key that holds the separator itself is rare: then one by one.
    return decoded if len(decoded) == len(keys) else [_unquote(key) for key in keys]


def _unquote(text: bytes) -> bytes:
    # "+" stands for a space: AWS, MinIO and SeaweedFS send it so, moto sends %20, and all send %2B for a plus.
    return unquote_to_bytes(text.replace(b"+", b" "))


class _Reader:
    """Collects the elements of a page from expat's events."""

    def __init__(self) -> None:
        self.rows: list[dict[str, str]] = []
        self.prefixes: list[str] = []
        self.top: dict[str, str] = {}
        self._path: list[str] = []
        self._text: list[str] = []

    def start(self, name: str, _attributes: object) -> None:
        name = name.rpartition(":")[2]
        self._path.append(name)
        self._text.clear()
        if len(self._path) == 2 and name == "Contents":  # noqa: PLR2004 - a child of the root
            self.rows.append({})

    def text(self, data: str) -> None:
        self._text.append(data)

    def end(self, _name: str) -> None:
        path, text = self._path, "".join(self._text)
        self._text.clear()
        if len(path) == 3 and path[1] == "Contents":  # noqa: PLR2004 - a grandchild of the root
            self.rows[-1].setdefault(path[2], text)
        elif len(path) == 3 and path[1] == "CommonPrefixes" and path[2] == "Prefix":  # noqa: PLR2004 - see above
            self.prefixes.append(text)
        elif len(path) == 2:  # noqa: PLR2004 - a child of the root
            self.top.setdefault(path[1], text)
        path.pop()


def parse_exactly(body: bytes) -> ListedPage:
    """Return the columns by expat, whatever the layout. Raises ProviderUnavailable when it is no listing answer."""
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    try:
        parser.Parse(body, True)
    except expat.ExpatError:
        raise ProviderUnavailable("A listing answer is no well-formed XML.") from None
    truncated = reader.top.get("IsTruncated", "").strip()
    if truncated not in ("true", "false") or not all({"Key", "Size"} <= row.keys() for row in reader.rows):
        raise ProviderUnavailable("A listing answer lacks elements that every listing has.")
    encoded = reader.top.get("EncodingType", "").strip() == "url"

    def raw(text: str) -> bytes:
        data = text.encode("utf-8", "surrogatepass")
        return _unquote(data) if encoded else data

    def column(name: str) -> list[bytes]:
        return [row.get(name, "").encode("utf-8", "surrogatepass") for row in reader.rows]

    return ListedPage(
        keys=[raw(row["Key"]) for row in reader.rows],
        modified=column("LastModified"),
        etags=column("ETag"),
        sizes=column("Size"),
        classes=column("StorageClass"),
        prefixes=[raw(prefix) for prefix in reader.prefixes],
        truncated=truncated == "true",
        token=reader.top.get("NextContinuationToken"),
    )
