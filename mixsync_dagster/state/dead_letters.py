"""Dead letters: what a failed attempt makes of one, and reading them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from mixsync_dagster.model.progress import MAX_RETRIES, DeadLetter, Failure
from mixsync_dagster.ports.state import SyncLock
from mixsync_dagster.state.codec import escape, escape_optional, from_micros, to_micros, unescape
from mixsync_dagster.state.database import Bulk, Transaction
from mixsync_dagster.state.inventory import within
from mixsync_dagster.state.leases import StorePart

_OPEN = ("waiting", "quarantined")
_MESSAGE_CHARACTERS = 2000
_REASON_CHARACTERS = 500
_LONGEST_PAUSE_SECONDS = 0.1
"""SQLite's writers try again after so long at most."""

_COLUMNS = {
    "dead_letter_id": "text",
    "sync_config_id": "text",
    "source_object_id": "text",
    "source_path": "text",
    "version": "text",
    "state": "text",
    "retry_count": "bigint",
    "error_type": "text",
    "error_message": "text",
    "first_seen_at": "bigint",
    "last_seen_at": "bigint",
    "last_reattempt_at": "bigint",
    "requeued_at": "bigint",
    "resolved_at": "bigint",
    "sync_run_id": "text",
}
_SELECT = """
    SELECT dead_letter_id, sync_config_id, source_object_id, source_path, version, state, retry_count, error_type,
        error_message, first_seen_at, last_seen_at, last_reattempt_at, requeued_at, resolved_at, sync_run_id
    FROM dead_letters WHERE dead_letter_id IN (:list)
"""
_SELECT_STANDING = _SELECT + " AND state IN ('waiting', 'quarantined', 'discarded')"
_SAVE = Bulk(
    "dead_letters",
    _COLUMNS,
    """
    ON CONFLICT (dead_letter_id) DO UPDATE SET
        source_path = excluded.source_path, version = excluded.version, state = excluded.state,
        retry_count = excluded.retry_count, error_type = excluded.error_type, error_message = excluded.error_message,
        first_seen_at = excluded.first_seen_at, last_seen_at = excluded.last_seen_at,
        last_reattempt_at = excluded.last_reattempt_at, requeued_at = excluded.requeued_at,
        resolved_at = excluded.resolved_at, sync_run_id = excluded.sync_run_id
    """,
)
_ANY_OPEN = """
    SELECT 1 FROM dead_letters WHERE sync_config_id = ? AND state IN ('waiting', 'quarantined') LIMIT 1
"""
_ANY_STANDING = """
    SELECT 1 FROM dead_letters WHERE sync_config_id = ? AND state IN ('waiting', 'quarantined', 'discarded') LIMIT 1
"""
_STANDING_WITHIN = """
    SELECT source_object_id FROM dead_letters INDEXED BY ix_dead_letters_item
    WHERE sync_config_id = ? AND state IN ('waiting', 'quarantined', 'discarded')
"""
_RESOLVE = """
    UPDATE dead_letters SET state = 'resolved', resolved_at = ?
    WHERE dead_letter_id IN (:list) AND state IN ('waiting', 'quarantined', 'discarded')
"""
_COUNT_RETRY = """
    UPDATE dead_letters SET retry_count = retry_count + 1, last_reattempt_at = ?
    WHERE dead_letter_id IN (:list) AND state = 'waiting'
"""
_TAKE_BACK_RETRY = """
    UPDATE dead_letters SET retry_count = retry_count - 1
    WHERE dead_letter_id IN (:list) AND state = 'waiting' AND retry_count > 0
"""
_REQUEUE = """
    UPDATE dead_letters SET state = 'waiting', retry_count = 0, requeued_at = ?, resolved_at = NULL
    WHERE dead_letter_id IN (:list) AND sync_config_id = ? AND state IN ('waiting', 'quarantined', 'discarded')
"""
_DISCARD = """
    UPDATE dead_letters SET state = 'discarded', resolved_at = ?, error_message = substr(? || error_message, 1, ?)
    WHERE dead_letter_id IN (:list) AND sync_config_id = ? AND state IN ('waiting', 'quarantined')
"""


def dead_letter_id_for(sync_config_id: str, source_object_id: str) -> str:
    """Return the id of the one dead letter that an item of a sync can have."""
    # surrogatepass: a provider may name its items by what is not valid Unicode.
    sync, item = sync_config_id.encode(), source_object_id.encode("utf-8", "surrogatepass")
    return "dlq_" + hashlib.blake2b(b"%d:%s%s" % (len(sync), sync, item), digest_size=16).hexdigest()


def after_failure(
    known: DeadLetter | None, failure: Failure, *, sync_config_id: str, sync_run_id: str, now: datetime
) -> DeadLetter:
    """Return the dead letter after one more failed attempt.

    Another version than the known one, or a closed letter, starts anew at zero retries. A letter that is out of
    retries, or whose failure is permanent, is quarantined, and stays so for this version; a discarded one, whose item
    was on its way meanwhile, stays as it is.
    """
    item = failure.item
    if known is not None and known.state == "discarded" and known.version == item.version:
        return known
    reopened = known is None or known.state not in _OPEN
    anew = known is None or reopened or known.version != item.version
    retry_count = 0 if known is None or anew else known.retry_count
    stays = known is not None and not anew and known.state == "quarantined"
    quarantined = failure.permanent or stays or retry_count >= MAX_RETRIES
    return DeadLetter(
        dead_letter_id=dead_letter_id_for(sync_config_id, item.source_object_id),
        sync_config_id=sync_config_id,
        source_object_id=item.source_object_id,
        source_path=item.path,
        version=item.version,
        state="quarantined" if quarantined else "waiting",
        retry_count=retry_count,
        error_type=failure.error_type,
        error_message=failure.message.encode("utf-8", "replace").decode()[:_MESSAGE_CHARACTERS],
        first_seen_at=now if known is None or reopened else known.first_seen_at,
        last_seen_at=now,
        last_reattempt_at=None if known is None or anew else known.last_reattempt_at,
        requeued_at=None if known is None or anew else known.requeued_at,
        sync_run_id=sync_run_id,
    )


def record_failures(tx: Transaction, lock: SyncLock, failures: Sequence[Failure], now: datetime) -> int:
    """Update the items' dead letters and return how many became quarantined."""
    if not failures:
        return 0
    known = _load(tx, _SELECT, lock.sync_config_id, (failure.item.source_object_id for failure in failures))
    newly_quarantined = 0
    changed: dict[str, DeadLetter] = {}
    for failure in failures:
        before = known.get(failure.item.source_object_id)
        letter = after_failure(
            before, failure, sync_config_id=lock.sync_config_id, sync_run_id=lock.sync_run_id, now=now
        )
        already = before is not None and before.state == "quarantined" and before.version == letter.version
        newly_quarantined += letter.state == "quarantined" and not already
        known[letter.source_object_id] = changed[letter.source_object_id] = letter
    tx.insert(_SAVE, [_to_row(letter) for letter in changed.values()])
    return newly_quarantined


def resolve(tx: Transaction, sync_config_id: str, source_object_ids: Iterable[str], now: datetime) -> None:
    """Close the standing dead letters among these items; usually there is none, and then nothing is looked up."""
    if any_standing(tx, sync_config_id):
        ids = [dead_letter_id_for(sync_config_id, item) for item in source_object_ids]
        tx.run(_RESOLVE, to_micros(now), ids)


def any_open(tx: Transaction, sync_config_id: str) -> bool:
    """Return whether the sync has a waiting or quarantined item."""
    return bool(tx.rows(_ANY_OPEN, sync_config_id))


def any_standing(tx: Transaction, sync_config_id: str) -> bool:
    """Return whether the sync has a waiting, quarantined or discarded item."""
    return bool(tx.rows(_ANY_STANDING, sync_config_id))


class DeadLetters(StorePart):
    """The dead letter part of RunStore and ControlStore."""

    def dead_letters_of(self, sync_config_id: str, source_object_ids: Sequence[str]) -> Mapping[str, DeadLetter]:
        """See RunStore.dead_letters_of."""
        with self._database.read() as tx:
            if not source_object_ids or not any_standing(tx, sync_config_id):
                return {}
            return _load(tx, _SELECT_STANDING, sync_config_id, source_object_ids)

    def standing_dead_letter_ids(self, sync_config_id: str, after: str | None, upto: str | None) -> Sequence[str]:
        """See RunStore.standing_dead_letter_ids."""
        condition, bounds = within(after, upto)
        with self._database.read() as tx:
            return [unescape(row[0]) for row in tx.rows(_STANDING_WITHIN + condition, sync_config_id, *bounds)]

    def has_open_dead_letters(self, sync_config_id: str) -> bool:
        """See RunStore.has_open_dead_letters."""
        with self._database.read() as tx:
            return any_open(tx, sync_config_id)

    def has_standing_dead_letters(self, sync_config_id: str) -> bool:
        """See RunStore.has_standing_dead_letters."""
        with self._database.read() as tx:
            return any_standing(tx, sync_config_id)

    def count_retries(self, lock: SyncLock, source_object_ids: Sequence[str]) -> None:
        """See RunStore.count_retries."""
        ids = [dead_letter_id_for(lock.sync_config_id, item) for item in source_object_ids]
        with self._fenced(lock) as tx:
            tx.run(_COUNT_RETRY, to_micros(self._clock.now()), ids)

    def take_back_retries(self, lock: SyncLock, source_object_ids: Sequence[str]) -> None:
        """See RunStore.take_back_retries."""
        ids = [dead_letter_id_for(lock.sync_config_id, item) for item in source_object_ids]
        with self._fenced(lock) as tx:
            tx.run(_TAKE_BACK_RETRY, ids)

    def list_dead_letters(
        self,
        sync_config_id: str,
        *,
        state: str | None = None,
        error_type: str | None = None,
        after: str | None = None,
        limit: int = 100,
    ) -> Sequence[DeadLetter]:
        """See ControlStore.list_dead_letters."""
        states = _OPEN if state is None else (state,)
        types = None if error_type is None else (error_type,)
        with self._database.read() as tx:
            return letters_by_id(tx, letter_ids(tx, sync_config_id, states, types, after=after, limit=limit))

    def dead_letter_ids(
        self,
        sync_config_id: str,
        *,
        states: Sequence[str],
        error_types: Sequence[str] | None = None,
        after: str | None = None,
        limit: int,
    ) -> Sequence[str]:
        """See ControlStore.dead_letter_ids."""
        with self._database.read() as tx:
            return letter_ids(tx, sync_config_id, states, error_types, after=after, limit=limit)

    def requeue_dead_letters(self, sync_config_id: str, dead_letter_ids: Sequence[str]) -> int:
        """See ControlStore.requeue_dead_letters."""
        with self._sharing() as tx:
            return tx.run(_REQUEUE, to_micros(self._clock.now()), list(dead_letter_ids), sync_config_id)

    def discard_dead_letters(self, sync_config_id: str, dead_letter_ids: Sequence[str], *, reason: str) -> int:
        """See ControlStore.discard_dead_letters."""
        noted = escape(f"discarded ({reason[:_REASON_CHARACTERS]}): ")
        now, ids = to_micros(self._clock.now()), list(dead_letter_ids)
        with self._sharing() as tx:
            return tx.run(_DISCARD, now, noted, _MESSAGE_CHARACTERS, ids, sync_config_id)

    @contextmanager
    def _sharing(self) -> Iterator[Transaction]:
        """Give a write transaction of many, between which other writers come in.

        SQLite's writers of other processes try again now and then: one that takes the lock back at once would keep them
        out to its end. So it stays away for as long as it held the lock.
        """
        with self._database.write() as tx:
            began = self._clock.monotonic()
            yield tx
        if not self._database.postgres:
            self._clock.sleep(min(self._clock.monotonic() - began, _LONGEST_PAUSE_SECONDS))


def letter_ids(
    tx: Transaction,
    sync_config_id: str,
    states: Sequence[str],
    error_types: Sequence[str] | None,
    *,
    after: str | None,
    limit: int,
) -> list[str]:
    """Return ids in their order after one, read off the index: one state at a time, for only so are they in order."""
    sql = "SELECT dead_letter_id FROM dead_letters INDEXED BY ix_dead_letters_state"
    sql += " WHERE sync_config_id = ? AND state = ? AND dead_letter_id > ?"
    sql += "" if error_types is None else " AND error_type IN (:list)"
    sql += " ORDER BY dead_letter_id LIMIT ?"
    wanted = [] if error_types is None else [[escape(one) for one in error_types]]
    found = [tx.rows(sql, sync_config_id, state, after or "", *wanted, limit) for state in states]
    return sorted(row[0] for rows in found for row in rows)[:limit]


def letters_by_id(tx: Transaction, ids: Sequence[str]) -> list[DeadLetter]:
    """Return these letters in the order of their ids."""
    letters = [_from_row(row) for row in tx.rows(_SELECT, ids)] if ids else []
    return sorted(letters, key=lambda letter: letter.dead_letter_id)


def _load(tx: Transaction, sql: str, sync_config_id: str, source_object_ids: Iterable[str]) -> dict[str, DeadLetter]:
    ids = [dead_letter_id_for(sync_config_id, item) for item in source_object_ids]
    letters = (_from_row(row) for row in tx.rows(sql, ids))
    return {letter.source_object_id: letter for letter in letters}


def _from_row(row: tuple[Any, ...]) -> DeadLetter:
    # The columns are the fields, in order: nine texts and a count, five times, and the run.
    head: list[Any] = [unescape(value) if isinstance(value, str) else value for value in row[:9]]
    times: list[Any] = [None if value is None else from_micros(value) for value in row[9:14]]
    return DeadLetter(*(head + times + [row[14]]))


def _to_row(letter: DeadLetter) -> tuple[Any, ...]:
    times = (
        letter.first_seen_at,
        letter.last_seen_at,
        letter.last_reattempt_at,
        letter.requeued_at,
        letter.resolved_at,
    )
    return (
        letter.dead_letter_id,
        letter.sync_config_id,
        escape(letter.source_object_id),
        escape(letter.source_path),
        escape(letter.version),
        letter.state,
        letter.retry_count,
        letter.error_type,
        escape(letter.error_message),
        *(None if moment is None else to_micros(moment) for moment in times),
        escape_optional(letter.sync_run_id),
    )
