"""The guarded fetcher: GET of a URL that a user gave, without what makes such requests dangerous.

Only hosts that an administrator listed, only addresses that the AddressPolicy lets pass, judged with every connection
and so with every redirect; https unless the list says otherwise; no proxies, cookies, credentials or referrers; at
most so many redirects, bytes and seconds. The seconds are for everything together: a server that sends a byte now and
then would otherwise hold a connection for days.
"""

from __future__ import annotations

import re
import ssl
import time
import zlib
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin

from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import parse_url

from mixsync_dagster.errors import (
    AddressRefused,
    ItemCorrupt,
    ItemError,
    ItemUnanswered,
    ItemUnreadable,
    ProviderUnavailable,
)
from mixsync_dagster.ports.fetching import Fetched
from mixsync_dagster.transport.addresses import PUBLIC_ONLY, AddressPolicy
from mixsync_dagster.transport.cutting import CuttableConnection, CuttableTlsConnection, TimedRequest
from mixsync_dagster.transport.fetch_hosts import PORTS, FetchHosts
from mixsync_dagster.transport.http import HttpAnswer, TruncatedBody
from mixsync_dagster.transport.redact import summary

CHUNK_BYTES = 1024 * 1024
_HEADERS = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "mixsync-dagster"}
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = frozenset({200, 203})
_DENIED = frozenset({401, 403, 407, 451})
_GONE = frozenset({404, 410})
_BUSY = frozenset({408, 425, 429})
_FAILING = 500
_GZIP_OR_DEFLATE = 32 + zlib.MAX_WBITS
_ENCODED = frozenset({"gzip", "x-gzip", "deflate"})
_LONGEST_NAME = 255
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f/\\]")


@dataclass(frozen=True, slots=True)
class FetchRules:
    """What may be fetched, and how much of it."""

    hosts: FetchHosts = field(default_factory=FetchHosts)
    """Without entries nothing is fetched."""
    addresses: AddressPolicy = PUBLIC_ONLY
    ca_bundle: Path | None = None
    """Certificates that are trusted; None: the system's."""
    most_bytes: int = 1024 * 1024 * 1024
    most_seconds: float = 300.0
    """For the whole of a fetch: look-up, redirects and all bytes."""
    most_redirects: int = 5
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    """Longest silence."""


@dataclass(frozen=True, slots=True)
class _Place:
    """The parts of a URL that may be fetched."""

    url: str
    scheme: str
    host: str
    """In lower case, an IPv6 address without brackets."""
    port: int
    target: str
    """Path and query, percent-encoded."""


class GuardedFetcher:
    """Fetches URLs by the rules; implements the UrlFetcher port."""

    def __init__(self, rules: FetchRules) -> None:
        self._rules = rules
        self._trust = ssl.create_default_context(cafile=None if rules.ca_bundle is None else str(rules.ca_bundle))

    def fetch(self, url: str) -> Fetched:
        """Return the answer to a GET of the URL; see the port."""
        end = time.monotonic() + self._rules.most_seconds
        place = self._allowed(url)
        for _ in range(self._rules.most_redirects + 1):
            ask = TimedRequest(self._connection_to(place), end)
            answer = self._answer(ask, place)
            if answer.status not in _REDIRECTS:
                return self._fetched(ask, answer, place)
            target = answer.headers.get("Location", "")
            ask.end()
            if not target:
                raise _refused(place, f"answered {answer.status} without saying where to go")
            place = self._allowed(urljoin(place.url, target))
        raise _refused(place, f"is behind more than {self._rules.most_redirects} redirects")

    def close(self) -> None:
        """Do nothing: every fetch ends its own connection."""

    def _allowed(self, url: str) -> _Place:
        """Return the parts of a URL that may be fetched. Raises ItemUnreadable."""
        try:
            parts = parse_url(url)
        except LocationParseError:
            raise ItemUnreadable("The value is no URL.", error_type="url_refused") from None
        scheme, host = parts.scheme or "", parts.host or ""
        if scheme not in PORTS or not host or url != "".join(url.split()):
            raise ItemUnreadable("The value is no http or https URL.", error_type="url_refused")
        place = _Place(parts.url, scheme, host.strip("[]"), parts.port or PORTS[scheme], parts.request_uri)
        if parts.auth is not None:
            raise _refused(place, "is asked for with a user name or password in the URL, which is not sent")
        if not self._rules.hosts.allow(scheme, place.host, place.port):
            raise _refused(
                place,
                f"is not fetched from by {scheme} on port {place.port}; let an administrator add it to "
                "MIXSYNC_FETCH_HOSTS if it is meant",
            )
        return place

    def _connection_to(self, place: _Place) -> CuttableConnection:
        options: dict[str, Any] = {"timeout": self._rules.connect_seconds, "addresses": self._rules.addresses}
        if place.scheme == "https":
            return CuttableTlsConnection(
                place.host, place.port, ssl_context=self._trust, cert_reqs="CERT_REQUIRED", **options
            )
        return CuttableConnection(place.host, place.port, **options)

    def _answer(self, ask: TimedRequest, place: _Place) -> HttpAnswer:
        """Send the request and return its answer. Raises ItemUnreadable, ItemUnanswered; the connection is ended."""
        try:
            return ask.send(place.target, _HEADERS, read_seconds=self._rules.read_seconds)
        except AddressRefused as error:
            ask.end()
            raise ItemUnreadable(str(error), error_type="address_refused") from None
        except ssl.SSLCertVerificationError:
            ask.end()
            raise _refused(place, "shows a certificate that is not trusted") from None
        except (ProviderUnavailable, HTTPError, HTTPException, OSError) as error:
            ask.end()
            raise _silent(place, None if ask.expired else error) from None

    def _fetched(self, ask: TimedRequest, answer: HttpAnswer, place: _Place) -> Fetched:
        try:
            self._check(answer, place)
            decode = _decoder_of(answer, place)
        except ItemError:
            ask.end()
            raise
        chunks = self._chunks(ask, answer, place, decode)
        # Begun, so that to close it ends the connection also before its first chunk was asked for.
        next(chunks)
        kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return Fetched(chunks, _filename(answer, place), kind or None)

    def _check(self, answer: HttpAnswer, place: _Place) -> None:
        """Return for an answer whose bytes are wanted. Raises ItemUnreadable, ItemUnanswered."""
        status = answer.status
        if status in _BUSY or status >= _FAILING:
            raise ItemUnanswered(f"{place.host} answered with status {status}.")
        if status in _DENIED:
            raise ItemUnreadable(f"{place.host} denies access (status {status}).", error_type="access_denied")
        if status in _GONE:
            raise ItemUnreadable(f"{place.host} has nothing there (status {status}).", error_type="not_found")
        if status not in _OK:
            raise _refused(place, f"answered with status {status}")
        if (answer.announced_bytes or 0) > self._rules.most_bytes:
            raise self._too_large(place)

    def _chunks(
        self, ask: TimedRequest, answer: HttpAnswer, place: _Place, decode: Callable[[Iterator[bytes]], Iterator[bytes]]
    ) -> Generator[bytes]:
        received = 0
        try:
            yield b""
            for chunk in decode(answer.chunks(CHUNK_BYTES, lambda: ask.expired)):
                received += len(chunk)
                if received > self._rules.most_bytes:
                    raise self._too_large(place)
                yield chunk
            if ask.expired:
                # An answer without a length ends like this when it is cut off.
                raise _silent(place, None)
        except TruncatedBody:
            if ask.expired:
                raise _silent(place, None) from None
            raise ItemCorrupt(f"{place.host} ended the connection inside its answer.") from None
        except zlib.error:
            raise ItemCorrupt(f"{place.host} sent an answer that cannot be decompressed.") from None
        except ProviderUnavailable as error:
            raise _silent(place, None if ask.expired else error) from None
        finally:
            ask.end()

    def _too_large(self, place: _Place) -> ItemUnreadable:
        message = f"{place.host} answers with more than the {self._rules.most_bytes} bytes that are fetched at most."
        return ItemUnreadable(message, error_type="too_large")


def _refused(place: _Place, why: str) -> ItemUnreadable:
    return ItemUnreadable(f"The host {place.host} {why}.", error_type="url_refused")


def _silent(place: _Place, error: BaseException | None) -> ItemUnanswered:
    """Return the error of a host that gave no usable answer; None: it took too long."""
    if error is None:
        return ItemUnanswered(f"The host {place.host} took longer than a fetch may take.")
    if isinstance(error, ProviderUnavailable):
        return ItemUnanswered(str(error))
    return ItemUnanswered(f"The host {place.host} cannot be reached or does not answer ({summary(error)}).")


def _decoder_of(answer: HttpAnswer, place: _Place) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """Return what undoes the answer's encoding, which was not asked for; some servers know no other."""
    encoding = answer.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return iter
    if encoding not in _ENCODED:
        raise _refused(place, f"sends its answer in the encoding {encoding[:20]}, which was not asked for")
    return _inflated


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what was compressed, never more than a chunk at a time. Raises zlib.error."""
    inflater = None
    for chunk in chunks:
        waiting = chunk
        while waiting:
            if inflater is None or inflater.eof:
                # gzip may consist of several members.
                inflater = zlib.decompressobj(_GZIP_OR_DEFLATE)
            yield inflater.decompress(waiting, CHUNK_BYTES)
            waiting = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
    if inflater is not None and not inflater.eof:
        raise zlib.error


def _filename(answer: HttpAnswer, place: _Place) -> str:
    header = Message()
    header["Content-Disposition"] = _UNPRINTABLE.sub("", answer.headers.get("Content-Disposition", ""))
    named = header.get_filename("")
    for name in (named, unquote(place.target.partition("?")[0].rpartition("/")[2]), place.host):
        clean = _UNPRINTABLE.sub("", name.replace("\\", "/").rpartition("/")[2]).strip(" .")
        if clean:
            return clean[-_LONGEST_NAME:]
    return "content"
