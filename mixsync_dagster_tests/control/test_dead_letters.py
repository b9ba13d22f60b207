"""Choosing dead letters and changing them in chunks."""

import pytest

from mixsync_dagster.control.dead_letters import CHUNK, Choice, discard, requeue
from mixsync_dagster.errors import InvalidInput


class Letters:
    """Letters by id: (state, reason class). Remembers the size of each change."""

    def __init__(self, letters):
        self.letters = dict(letters)
        self.chunks = []

    def dead_letter_ids(self, _sync, *, states, error_types=None, after=None, limit):
        fitting = (
            one
            for one, (state, kind) in sorted(self.letters.items())
            if state in states and (error_types is None or kind in error_types) and (after is None or one > after)
        )
        return list(fitting)[:limit]

    def requeue_dead_letters(self, _sync, ids):
        return self._change(ids, "waiting")

    def discard_dead_letters(self, _sync, ids, *, reason):
        return self._change(ids, f"discarded: {reason}")

    def _change(self, ids, state):
        known = [one for one in ids if one in self.letters]
        self.chunks.append(len(ids))
        for one in known:
            self.letters[one] = (state, self.letters[one][1])
        return len(known)


@pytest.fixture
def store():
    return Letters(
        {"a": ("waiting", "x"), "b": ("quarantined", "x"), "c": ("quarantined", "y"), "d": ("discarded", "x")}
    )


def states(store):
    return "".join(store.letters[one][0][0] for one in sorted(store.letters))


@pytest.mark.parametrize(
    ("choice", "changed", "left"),
    [
        (Choice(), 2, "wwwd"),
        (Choice(error_types=("x",)), 1, "wwqd"),
        (Choice(error_types=("x", "y")), 2, "wwwd"),
        (Choice(state="discarded"), 1, "wqqw"),
        (Choice(state="waiting"), 1, "wqqd"),
        (Choice(ids=("d", "b", "b", "absent")), 2, "wwqw"),
    ],
)
def test_requeueing(store, choice, changed, left):
    assert requeue(store, "sync_1", choice) == changed
    assert states(store) == left


@pytest.mark.parametrize(
    ("choice", "changed", "left"),
    [(Choice(), 3, "dddd"), (Choice(error_types=("y",)), 1, "wqdd"), (Choice(state="waiting"), 1, "dqqd")],
)
def test_discarding(store, choice, changed, left):
    assert discard(store, "sync_1", choice, reason=" no ") == changed
    assert states(store) == left
    assert {state for state, _ in store.letters.values() if state.startswith("discarded:")} == {"discarded: no"}


def test_many_are_changed_in_chunks():
    store = Letters({f"{number:04}": ("quarantined", "x") for number in range(2 * CHUNK + 1)})
    assert requeue(store, "sync_1", Choice()) == 2 * CHUNK + 1
    assert store.chunks == [CHUNK, CHUNK, 1]
    store.chunks.clear()
    assert discard(store, "sync_1", Choice(ids=sorted(store.letters)), reason="no") == 2 * CHUNK + 1
    assert store.chunks == [CHUNK, CHUNK, 1]


@pytest.mark.parametrize("state", ["resolved", "lost"])
def test_a_state_that_cannot_be_left_is_refused(store, state):
    with pytest.raises(InvalidInput, match=f"--state: {state} is not accepted; give one of waiting, quarantined"):
        requeue(store, "sync_1", Choice(state=state))
    with pytest.raises(InvalidInput, match="give one of waiting, quarantined"):
        discard(store, "sync_1", Choice(state=state), reason="no")


@pytest.mark.parametrize("reason", ["", "  "])
def test_nothing_is_discarded_without_a_reason(store, reason):
    with pytest.raises(InvalidInput, match="--reason"):
        discard(store, "sync_1", Choice(), reason=reason)
    assert states(store) == "wqqd"
