"""The home folder: making it, holding it alone, and the key that lies in it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.settings import Settings

if TYPE_CHECKING:
    from mixsync_dagster.control.rotating import Rotation
    from mixsync_dagster.ports.tenants import SecretStore
    from mixsync_dagster.state.cipher import SecretKeys


def make_home(home: Path) -> None:
    """Create the home folder for its owner alone; an existing one keeps its mode. Raises ConfigurationError."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"MIXSYNC_HOME: the folder {home} cannot be made ({error.strerror}); give a folder that can be written."
        ) from error


@contextmanager
def locked(home: Path) -> Iterator[None]:
    """Hold the home folder's lock, waiting for it; it is free again when the process ends, however it ends."""
    with (home / ".lock").open("a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_keys(settings: Settings) -> SecretKeys:
    """Return the encryption key from the setting, else from the key file, and old ones. Raises ConfigurationError."""
    from mixsync_dagster.state.cipher import load_keys

    if settings.secret_key is None and not settings.key_file.exists():
        raise ConfigurationError(
            f"there is no mixsync home at {settings.home}; run `mixsync init`, or set MIXSYNC_HOME."
        )
    return load_keys(settings.home, settings.secret_key, settings.old_secret_keys)


def rotate_secret(
    store: SecretStore, settings: Settings, *, tell: Callable[[int, int], None] | None = None
) -> Rotation:
    """Exchange the secret key, and encrypt everything anew that an old one encrypted.

    A key from the key file is replaced by a new one, which stands in front of it until all is done; a given one is
    what `MIXSYNC_SECRET_KEY` says, and nothing new is made. Interrupted, it goes on where it was. Raises
    ConfigurationError, StoreUnavailable.
    """
    from mixsync_dagster.control.rotating import rotate
    from mixsync_dagster.state.cipher import add_key, drop_old_keys

    if settings.secret_key is not None:
        return rotate(store, forget_old_keys=lambda: None, tell=tell)
    with locked(settings.home):
        add_key(settings.home)
        return rotate(store, forget_old_keys=partial(drop_old_keys, settings.home), tell=tell)
