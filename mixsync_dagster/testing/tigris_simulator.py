"""Tigris on loopback, as far as it is more than S3: a proxy before a real server of the S3 protocol, such as moto.

    with TigrisSimulator("http://127.0.0.1:5000") as tigris:
        ...  # a client that uses tigris.url as its endpoint, with the bucket in the path or in the host's name
        assert tigris.listings == 1

What is simulated follows the vendor's documentation: the header X-Tigris-Query on ListObjectsV2
(https://www.tigrisdata.com/docs/objects/query-metadata/) with conditions on `Last-Modified`, which a query has to have,
and ORDER BY; X-Tigris-Consistent (https://www.tigrisdata.com/docs/concepts/consistency/), without which objects in
`elsewhere` are not to be seen; buckets named in the host. That continuation tokens go on in a filtered listing is
assumed. The server behind must answer listings that are not signed, which moto does.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.client import HTTPConnection
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urlencode, urlsplit
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from mixsync_dagster.testing.fault_proxy import FaultProxy
from mixsync_dagster.testing.fault_traffic import FRAMING, Answer, Flow, Passage, ProxiedRequest, whole_flow
from mixsync_dagster.testing.faults import Fault, s3_error

_XMLNS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
_CONDITION = re.compile(r'`Last-Modified` (>=|<=|!=|>|<|=) "([^"]+)"')
_QUERY = re.compile(r"WHERE (?P<where>.+?)(?: ORDER BY `Last-Modified`(?: (?P<order>ASC|DESC))?)?")
_OPERATORS: Mapping[str, Callable[[datetime, datetime], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "=": operator.eq,
    "!=": operator.ne,
}


@dataclass
class Habits:
    """What the simulated service does otherwise than usual."""

    filters: bool = True
    """False: the query is taken no notice of."""
    refuses_queries: bool = False
    """Queries are answered with 501."""
    ordered: bool = True
    """False: filtered listings come in the order of keys, whatever the query says."""
    elsewhere: set[str] = field(default_factory=set)
    """Keys that were written in another region: to be seen by requests that ask for consistency only."""
    hidden: set[str] = field(default_factory=set)
    """Keys that no listing shows yet."""
    now: datetime | None = None
    """The service's clock; None: the real one."""
    modified: dict[str, datetime] = field(default_factory=dict)
    """When objects were modified, where filtered listings are to tell another time than the server's."""


@dataclass(frozen=True, slots=True)
class _Row:
    key: str
    modified: datetime
    etag: str
    size: str


class TigrisSimulator:
    """A running simulator; it runs from its making until `close()` or the end of its `with`."""

    def __init__(self, upstream: str) -> None:
        self.habits = Habits()
        self._proxy = FaultProxy(upstream)
        self.url = self._proxy.url
        """Where clients find it."""
        parts = urlsplit(upstream)
        self._proxy.add(_Tigris(self.habits, parts.hostname or "", parts.port or 80))

    @property
    def requests(self) -> Sequence[ProxiedRequest]:
        """Every request so far."""
        return [exchange.request for exchange in self._proxy.log]

    @property
    def listings(self) -> int:
        """How many pages of listings were asked for."""
        return sum(1 for request in self.requests if request.parameter("list-type") == "2")

    def close(self) -> None:
        """Stop. Twice is harmless."""
        self._proxy.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._proxy.__exit__(kind, error, trace)


class _Tigris(Fault):
    """Answers every request: by the server behind, with what is Tigris's own."""

    def __init__(self, habits: Habits, host: str, port: int) -> None:
        self._habits = habits
        self._host = host
        self._port = port

    def before(self, passage: Passage) -> Flow | None:
        """Answer listings and what names its bucket in the host; the rest is passed on."""
        request = passage.request
        bucket = _bucket_in_host(request.headers.get("host", ""))
        # Clients that take the simulator for their proxy send whole addresses.
        plain = re.sub(r"^http://[^/]+", "", request.path)
        path = f"/{bucket}{plain}" if bucket else plain
        if request.method == "GET" and request.parameter("list-type") == "2":
            return whole_flow(self._listing(request, path.strip("/")))
        if not bucket:
            return None
        return self._passed_on(request, path)

    def _passed_on(self, request: ProxiedRequest, path: str) -> Flow:
        answer, length = self._ask(
            request.method, f"{path}?{request.query}" if request.query else path, request.headers
        )
        flow = whole_flow(answer)
        if request.method == "HEAD":
            flow.length = length
        return flow

    def _listing(self, request: ProxiedRequest, bucket: str) -> Answer:
        query = request.headers.get("x-tigris-query")
        if query is not None and self._habits.refuses_queries:
            return _error(501, "NotImplemented")
        rows, refusal = self._rows(bucket, request)
        if refusal is not None:
            return refusal
        if query is not None and self._habits.filters:
            chosen = _chosen(rows, query, ordered=self._habits.ordered)
            if chosen is None:
                return _error(400, "InvalidArgument")
            rows = chosen
        if request.parameter("delimiter"):
            return self._ask("GET", f"/{bucket}?{request.query}", request.headers)[0]
        return _page(rows, request, self._date())

    def _rows(self, bucket: str, request: ProxiedRequest) -> tuple[list[_Row], Answer | None]:
        """Return all objects below the prefix that the request may see; the server's answer where it is no listing."""
        found: list[_Row] = []
        asked = {"list-type": "2", "encoding-type": "url", "prefix": request.parameter("prefix") or ""}
        habits, token = self._habits, None
        consistent = request.headers.get("x-tigris-consistent") == "true"
        unseen = habits.hidden | (set() if consistent else habits.elsewhere)
        while True:
            query = urlencode(asked | ({} if token is None else {"continuation-token": token}))
            answer, _ = self._ask("GET", f"/{bucket}?{query}", {})
            if answer.status != 200:  # noqa: PLR2004 - OK
                return [], answer
            root = ET.fromstring(answer.body)  # noqa: S314 - the answer of a test's own server
            for entry in root.iter(f"{_XMLNS}Contents"):
                key = unquote(entry.findtext(f"{_XMLNS}Key", "").replace("+", " "))
                told = datetime.fromisoformat(entry.findtext(f"{_XMLNS}LastModified", ""))
                etag, size = (entry.findtext(f"{_XMLNS}{name}", "") for name in ("ETag", "Size"))
                if key not in unseen:
                    found.append(_Row(key, habits.modified.get(key, told), etag, size))
            token = root.findtext(f"{_XMLNS}NextContinuationToken")
            if token is None:
                return found, None

    def _ask(self, method: str, target: str, headers: Mapping[str, str]) -> tuple[Answer, int | None]:
        """Return the server's whole answer, and the length that it announces."""
        with closing(HTTPConnection(self._host, self._port, timeout=60)) as connection:
            kept = {name: value for name, value in headers.items() if name not in FRAMING and name != "host"}
            connection.request(method, target, headers=kept)
            answer = connection.getresponse()
            length = answer.getheader("Content-Length")
            whole = Answer(answer.status, tuple(answer.getheaders()), answer.read())
            return whole, None if length is None else int(length)

    def _date(self) -> str:
        return format_datetime(self._habits.now or datetime.now(UTC), usegmt=True)


def _bucket_in_host(host: str) -> str:
    name = host.partition(":")[0]
    return "" if re.fullmatch(r"[\d.]+|localhost", name) else name.partition(".")[0]


def _chosen(rows: Sequence[_Row], query: str, *, ordered: bool) -> list[_Row] | None:
    """Return what a query asks for; None when it is not understood."""
    whole = _QUERY.fullmatch(query)
    conditions = [] if whole is None else whole["where"].split(" AND ")
    read = [_CONDITION.fullmatch(condition) for condition in conditions]
    if whole is None or not all(read):
        return None
    tests = [(_OPERATORS[one[1]], datetime.fromisoformat(one[2])) for one in read if one is not None]
    found = [row for row in rows if all(test(row.modified, time) for test, time in tests)]
    if ordered and "ORDER BY" in query:
        found.sort(key=lambda row: row.modified, reverse=whole["order"] == "DESC")
    return found


def _page(rows: Sequence[_Row], request: ProxiedRequest, date: str) -> Answer:
    # A token carries what the listing began behind: start-after comes with the first request only.
    token = request.parameter("continuation-token") or f"0 {request.parameter('start-after') or ''}"
    begin, _, after = token.partition(" ")
    rows = [row for row in rows if row.key.encode() > after.encode()]
    start, most = int(begin), int(request.parameter("max-keys") or 1000)
    told, truncated = rows[start : start + most], len(rows) > start + most
    contents = "".join(
        f"<Contents><Key>{quote(row.key)}</Key><LastModified>{_told(row.modified)}</LastModified>"
        f"<ETag>{row.etag.replace(chr(34), '&quot;')}</ETag><Size>{row.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for row in told
    )
    more = f"<NextContinuationToken>{start + most} {escape(after)}</NextContinuationToken>" if truncated else ""
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="{_XMLNS[1:-1]}">'
        f"<EncodingType>url</EncodingType><KeyCount>{len(told)}</KeyCount>"
        f"<IsTruncated>{str(truncated).lower()}</IsTruncated>{more}{contents}</ListBucketResult>"
    )
    return Answer(200, (("Content-Type", "application/xml"), ("Date", date)), body.encode())


def _told(modified: datetime) -> str:
    return modified.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _error(status: int, code: str) -> Answer:
    fault = s3_error(status, code)
    return Answer(status, tuple(fault.headers.items()), fault.body)
