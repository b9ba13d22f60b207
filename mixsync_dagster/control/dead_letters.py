"""Requeueing and discarding dead letters: by id or by filter, in chunks that block nobody for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from mixsync_dagster.errors import InvalidInput

CHUNK = 250
"""Letters changed in one transaction: SQLite has one writer, and runs wait for it. Measured at 6 to 10 ms."""

REQUEUED_STATES = ("waiting", "quarantined", "discarded")
"""States that can be left by requeueing."""

OPEN_STATES = ("waiting", "quarantined")
"""States in which an item still matters; they can be left by discarding."""


class LetterStore(Protocol):
    """What this needs of the store: a part of `ports.control.ControlStore`."""

    def dead_letter_ids(
        self,
        sync_config_id: str,
        *,
        states: Sequence[str],
        error_types: Sequence[str] | None = None,
        after: str | None = None,
        limit: int,
    ) -> Sequence[str]:
        """Return ids in their order after an id."""
        ...

    def requeue_dead_letters(self, sync_config_id: str, dead_letter_ids: Sequence[str]) -> int:
        """Let these wait again; return how many."""
        ...

    def discard_dead_letters(self, sync_config_id: str, dead_letter_ids: Sequence[str], *, reason: str) -> int:
        """Discard these; return how many."""
        ...


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters of a sync are meant: those named, else those that fit every filter."""

    ids: Sequence[str] = ()
    """Dead letter ids; the filters then say nothing."""
    error_types: Sequence[str] | None = None
    """Reason classes; None: any."""
    state: str | None = None
    """None: quarantined ones for requeueing, all that are open for discarding."""


def requeue(store: LetterStore, sync_config_id: str, choice: Choice) -> int:
    """Let the chosen letters wait again with no retry counted, and return how many.

    By filter, only quarantined ones unless `state` says otherwise: waiting ones are tried anyway. Letters that come to
    be chosen meanwhile are met or not. Safe to repeat and to interrupt. Raises InvalidInput for a state that cannot be
    left so, StoreUnavailable.
    """
    states = _states(choice, REQUEUED_STATES, ("quarantined",))
    return _change(store, sync_config_id, choice, states, lambda ids: store.requeue_dead_letters(sync_config_id, ids))


def discard(store: LetterStore, sync_config_id: str, choice: Choice, *, reason: str) -> int:
    """Discard the chosen letters and return how many; their items are left alone until their versions change.

    Raises InvalidInput without a reason or for a state that cannot be left so, StoreUnavailable.
    """
    if not reason.strip():
        raise InvalidInput.of("--reason", "nothing", "why these items are to be left alone")
    states = _states(choice, OPEN_STATES, OPEN_STATES)

    def change(ids: Sequence[str]) -> int:
        return store.discard_dead_letters(sync_config_id, ids, reason=reason.strip())

    return _change(store, sync_config_id, choice, states, change)


def _states(choice: Choice, accepted: Sequence[str], otherwise: Sequence[str]) -> Sequence[str]:
    if choice.state is None:
        return otherwise
    if choice.state not in accepted:
        raise InvalidInput.of("--state", choice.state, "one of " + ", ".join(accepted))
    return (choice.state,)


def _change(
    store: LetterStore,
    sync_config_id: str,
    choice: Choice,
    states: Sequence[str],
    change: Callable[[Sequence[str]], int],
) -> int:
    if choice.ids:
        named = list(dict.fromkeys(choice.ids))
        return sum(change(named[first : first + CHUNK]) for first in range(0, len(named), CHUNK))
    return sum(change(ids) for ids in _pages(store, sync_config_id, choice, states))


def _pages(store: LetterStore, sync_config_id: str, choice: Choice, states: Sequence[str]) -> Iterator[Sequence[str]]:
    after: str | None = None
    while ids := store.dead_letter_ids(
        sync_config_id, states=states, error_types=choice.error_types, after=after, limit=CHUNK
    ):
        yield ids
        after = ids[-1]
