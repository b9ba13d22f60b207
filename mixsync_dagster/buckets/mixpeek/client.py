"""Requests to the service's API, and bytes to and from the presigned addresses that it hands out.

One method makes one attempt; whether it is repeated is the pacer's business, which all threads of a bucket share and
which tells workers elsewhere to be quiet. A call that creates something is never repeated by itself: its answer may be
lost after it was carried out, so its caller looks first (`Creations`, `Batches`).
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from mixsync_dagster.buckets.mixpeek.errors import Refusal, bucket_error, raise_for
from mixsync_dagster.buckets.mixpeek.settings import MixpeekSettings
from mixsync_dagster.errors import ConfigurationError, ProviderUnavailable, RateLimited
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.pacing import Pacer
from mixsync_dagster.transport.http import HttpAnswer, HttpPool, HttpSettings, retry_after_seconds

Answer = TypeVar("Answer")

_USER_AGENT = "mixsync-dagster"
_MINUTE_SECONDS = 60.0
_PORTS = {"https": 443, "http": 80}
_CHUNK_BYTES = 1024 * 1024
_OK, _NO_CONTENT, _TOO_MANY, _UNAVAILABLE = 200, 204, 429, 503


@dataclass(frozen=True, slots=True)
class Reply:
    """The JSON object of a success; empty for an answer without a body."""

    body: Mapping[str, Any]


class MinuteBudget:
    """At most so many calls within any minute of this process; for many threads."""

    def __init__(self, clock: Clock, per_minute: int | None) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._made: deque[float] = deque()

    def take(self) -> None:
        """Return when one more call may be made, and count it."""
        while (wait := self._wait()) > 0:
            self._clock.sleep(wait)

    def _wait(self) -> float:
        if self._per_minute is None:
            return 0.0
        with self._lock:
            now = self._clock.monotonic()
            while self._made and self._made[0] <= now - _MINUTE_SECONDS:
                self._made.popleft()
            if len(self._made) < self._per_minute:
                self._made.append(now)
                return 0.0
            return self._made[0] + _MINUTE_SECONDS - now


class MixpeekClient:
    """One bucket of one namespace; for any number of threads."""

    def __init__(self, settings: MixpeekSettings, clock: Clock, pacer: Pacer) -> None:
        self.settings = settings
        self.clock = clock
        self._pacer = pacer
        self._budget = MinuteBudget(clock, settings.requests_per_minute)
        parts = urlsplit(settings.base_url)
        self.host = parts.netloc
        self._base = parts.path
        self._bucket_path = f"/v1/buckets/{quote(settings.bucket, safe='')}"
        self._lock = threading.Lock()
        self._pools: dict[tuple[str, str, int], HttpPool] = {}
        self._api = self._pool(settings.base_url)

    def patient(self, attempt: Callable[[], Answer]) -> Answer:
        """Return the attempt's answer, repeating it after rate limits and outages; then that error passes."""
        return self._pacer.call(attempt)

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, query: Mapping[str, Any] | None = None
    ) -> Reply:
        """Do as `once`, repeated while patience lasts: for calls that may be made twice."""
        return self.patient(lambda: self.once(method, path, body, query=query))

    def once(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, query: Mapping[str, Any] | None = None
    ) -> Reply:
        """Make one attempt at a call about the bucket; `path` is what follows the bucket's own, e.g. "/objects/list".

        Raises what `errors.raise_for` raises; ProviderUnavailable says that the call may have been carried out.
        """
        return self._sent(method, self._bucket_path + path, body, query)

    def task(self, task_id: str) -> Reply:
        """Return a task; patient. Raises as `once`."""
        target = f"/v1/tasks/{quote(task_id, safe='')}"
        return self.patient(lambda: self._sent("GET", target, None, None))

    def bucket(self) -> Mapping[str, Any]:
        """Return the bucket as the service tells it. Raises NotFound, and as `once`."""
        try:
            return self.call("GET", "").body
        except Refusal as refusal:
            raise bucket_error(refusal, bucket=self.settings.bucket, namespace=self.settings.namespace) from None

    def put(self, url: str, content: Callable[[], bytes | BinaryIO], size_bytes: int, content_type: str) -> str:
        """Send bytes to a presigned address and return the ETag without quotes; one attempt.

        No key goes there. Raises RateLimited, ProviderUnavailable, ConfigurationError for an address that is not one.
        """
        pool, target = self._store_of(url)
        headers = {"Content-Type": content_type, "Content-Length": str(size_bytes), "User-Agent": _USER_AGENT}
        answer = pool.send("PUT", target, headers, content())
        self._raise_for_store(answer)
        etag = answer.headers.get("ETag") or ""
        answer.read()
        return etag.strip('"')

    def download(self, url: str) -> Iterator[bytes]:
        """Yield the bytes at a presigned address. Raises as `put`."""
        pool, target = self._store_of(url)
        answer = pool.send("GET", target, {"User-Agent": _USER_AGENT})
        self._raise_for_store(answer)
        yield from answer.chunks(_CHUNK_BYTES)

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        with self._lock:
            pools = list(self._pools.values())
        for pool in pools:
            pool.close()

    def _sent(self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, Any] | None) -> Reply:
        self._budget.take()
        target = self._base + path + (f"?{urlencode(query)}" if query else "")
        headers = {
            "Host": self.host,
            "Authorization": f"Bearer {self.settings.api_key}",
            "X-Namespace": self.settings.namespace,
            "Accept": "application/json",
            "User-Agent": _USER_AGENT,
        }
        data = None
        if body is not None:
            data = json.dumps(body, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        answer = self._api.send(method, target, headers, data)
        told = _parsed(answer.read())
        raise_for(answer.status, answer.headers, told, host=self.host, now=self.clock.now())
        if not isinstance(told, Mapping):
            if answer.status == _NO_CONTENT:
                return Reply({})
            raise ProviderUnavailable(f"{self.host} answered with a body that is no JSON object.")
        return Reply(told)

    def _raise_for_store(self, answer: HttpAnswer) -> None:
        if answer.status in (_OK, _NO_CONTENT):
            return
        wait = retry_after_seconds(answer.headers.get("Retry-After"), self.clock.now())
        answer.close()
        said = f"the object store behind {self.host} answered with status {answer.status}."
        if answer.status in (_TOO_MANY, _UNAVAILABLE):
            raise RateLimited(said, retry_after_seconds=wait)
        # Also an address that has expired: the next run gets another one.
        raise ProviderUnavailable(said)

    def _store_of(self, url: str) -> tuple[HttpPool, str]:
        parts = urlsplit(url)
        own = url.startswith(self.settings.base_url + "/")
        if not parts.hostname or not (parts.scheme == "https" or own):
            raise ConfigurationError(f"{self.host} names an address for bytes that is not https; none are sent there.")
        return self._pool(url), (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

    def _pool(self, url: str) -> HttpPool:
        parts = urlsplit(url)
        key = (parts.scheme, parts.hostname or "", parts.port or _PORTS[parts.scheme])
        with self._lock:
            pool = self._pools.get(key)
            if pool is None:
                settings = self.settings
                # The base address was named by whoever owns this installation, the others by an answer.
                addresses = None if url.startswith(settings.base_url) else settings.addresses
                pool = self._pools[key] = HttpPool(HttpSettings(*key, verify=settings.verify, addresses=addresses))
            return pool


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
