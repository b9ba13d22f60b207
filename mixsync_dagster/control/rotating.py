"""Exchanging the secret key: everything that it sealed is sealed anew, one thing at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.ports.tenants import SecretStore

_PASSES = 3
"""A process that still had the old key in its hands may have used it during the first pass."""


@dataclass(slots=True)
class Rotation:
    """What an exchange did."""

    resealed: int = 0
    unreadable: dict[str, str] = field(default_factory=dict)
    """Why something could not be opened, by its id; it stays as it is."""
    finished: bool = False
    """Whether nothing needs an old key any more."""


def rotate(
    store: SecretStore, *, forget_old_keys: Callable[[], None], tell: Callable[[int, int], None] | None = None
) -> Rotation:
    """Seal with the present key whatever is not, then forget the old ones.

    Safe to interrupt anywhere and to repeat: each thing is done or not, and what is done is not done again. Runs and
    the API go on meanwhile. `tell` hears how many are done, of how many. Raises StoreUnavailable.
    """
    done = Rotation()
    for _ in range(_PASSES):
        waiting = [one for one in store.old_seals() if one not in done.unreadable]
        for number, identifier in enumerate(waiting, 1):
            try:
                done.resealed += store.reseal(identifier)
            except ConfigurationError as error:
                done.unreadable[identifier] = str(error)
            if tell is not None:
                tell(number, len(waiting))
        done.finished = store.forget_old_keys(forget_old_keys)
        if done.finished or done.unreadable:
            break
    return done
