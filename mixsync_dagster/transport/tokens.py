"""What is fetched once and kept until shortly before it ends: access tokens, the keys of an assumed role.

Providers come and go with every run and every look; what they fetched is kept in this process under the connection and
a fingerprint of everything that it was fetched with, so that a new provider of the same connection signs in no more.
The credentials themselves are not kept here.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.transport.http import HttpAnswer

RENEW_BEFORE_SECONDS = 300.0
"""Tokens are renewed this long before their end: longer than any request waits for its answer to begin."""

_MOST_KEPT = 256
_UNAUTHORIZED = 401

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token and the reading of `Clock.monotonic` at which it is to be renewed."""

    text: str = field(repr=False)
    renew_at: float

    @classmethod
    def lasting(cls, text: str, lifetime_seconds: float, clock: Clock) -> Token:
        """Return a token that ends so many seconds from now; a short one is renewed after half of its time."""
        long = lifetime_seconds > 2 * RENEW_BEFORE_SECONDS
        renew_in = lifetime_seconds - RENEW_BEFORE_SECONDS if long else lifetime_seconds / 2
        return cls(text, clock.monotonic() + renew_in)


class Tokens(Protocol):
    """Where bearer tokens come from; called by many threads."""

    def current(self) -> str:
        """Return a token that has not expired."""
        ...

    def renewed(self, refused: str) -> str:
        """Return another token than the one that was refused before its time."""
        ...


class Slot(Generic[Value]):
    """A place for one value, and the lock under which one of many fetches it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.value: Value | None = None


class Kept(Generic[Value]):
    """A value that `fetch` brings and that is kept while it is `fresh`; one thread fetches, the others wait.

    Those that are given the same slot keep one value together.
    """

    def __init__(
        self, fetch: Callable[[], Value], fresh: Callable[[Value], bool], slot: Slot[Value] | None = None
    ) -> None:
        self._fetch = fetch
        self._fresh = fresh
        self._slot: Slot[Value] = Slot() if slot is None else slot

    def current(self) -> Value:
        """Return a fresh value; passes the errors of `fetch`, after which nothing is kept."""
        return self._taken(self._fresh)

    def other_than(self, refused: Callable[[Value], bool]) -> Value:
        """Return a fresh value that is not refused; of many threads with the same one, the first fetches."""
        return self._taken(lambda value: not refused(value) and self._fresh(value), look_first=False)

    def _taken(self, good: Callable[[Value], bool], *, look_first: bool = True) -> Value:
        slot = self._slot
        value = slot.value
        if look_first and value is not None and good(value):
            return value
        with slot.lock:
            value = slot.value
            if value is None or not good(value):
                slot.value = None
                value = slot.value = self._fetch()
            return value


class KeptTokens:
    """Implements Tokens: the current token of one account."""

    def __init__(self, fetch: Callable[[], Token], clock: Clock, slot: Slot[Token] | None = None) -> None:
        self._kept = Kept(fetch, lambda token: clock.monotonic() < token.renew_at, slot)

    def current(self) -> str:
        """Return a token that is valid for some minutes; passes the errors of fetching one."""
        return self._kept.current().text

    def renewed(self, refused: str) -> str:
        """Return another token than `refused`, which the service no longer takes; raises as `current`."""
        return self._kept.other_than(lambda token: token.text == refused).text


class Shelf:
    """The slots of this process, by key; the ones that were not asked for longest make room for new ones."""

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self._most = most
        self._slots: OrderedDict[str, Slot[Any]] = OrderedDict()
        self._lock = threading.Lock()

    def slot(self, key: str) -> Slot[Any]:
        """Return the slot of a key, the same one for everybody who asks."""
        with self._lock:
            slot = self._slots.setdefault(key, Slot())
            self._slots.move_to_end(key)
            while len(self._slots) > self._most:
                self._slots.popitem(last=False)
            return slot

    def clear(self) -> None:
        """Forget everything; providers that exist keep what they have."""
        with self._lock:
            self._slots.clear()


SHELF = Shelf()
"""What providers of this process share."""


def key_of(connection_id: str | None, *fetched_with: object) -> str:
    """Return the key of what a connection fetches with these values, secrets among them: a digest, which tells none.

    None: a connection that is not stored, as while it is tested; what it fetches is shared by its values alone.
    """
    digest = hashlib.sha256()
    for value in (connection_id, *fetched_with):
        text = repr(value).encode("utf-8", "backslashreplace")
        digest.update(b"%d:%b" % (len(text), text))
    return digest.hexdigest()


def authorized(tokens: Tokens, send: Callable[[str], HttpAnswer]) -> HttpAnswer:
    """Return the answer to a request that `send` makes with a token, made once more where the service wants another.

    A token may be revoked, or expired by another clock than ours. Passes the errors of both.
    """
    token = tokens.current()
    answer = send(token)
    if answer.status != _UNAUTHORIZED:
        return answer
    answer.close()
    return send(tokens.renewed(token))
