"""Looking into the folders of a connection, in bounded time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mixsync_dagster.control.checking import answer_in_time
from mixsync_dagster.errors import ConfigurationError, PathNotFound
from mixsync_dagster.ports.browsing import BrowsedFile, BrowsedFolder, FolderBrowser
from mixsync_dagster.ports.provider import Provider

MAX_FOLDERS = 1000

Answer = TypeVar("Answer")


def folders(open_provider: Callable[[], Provider], seconds: float) -> Sequence[BrowsedFolder]:
    """Return the folders in the folder of a provider's source path; none for a folder that is not there.

    Raises ConfigurationError for a provider that shows no folders, and what `Provider.check` raises.
    """
    try:
        return _looked(open_provider, seconds, lambda browser: browser.browse_folders(limit=MAX_FOLDERS))
    except PathNotFound:
        return ()


def files(open_provider: Callable[[], Provider], seconds: float, *, limit: int) -> tuple[Sequence[BrowsedFile], bool]:
    """Return files in the folder of a provider's source path, and whether there are more. Raises as `folders`.

    Raises PathNotFound for a folder that is not there.
    """
    return _looked(open_provider, seconds, lambda browser: browser.browse_files(limit=limit))


def _looked(open_provider: Callable[[], Provider], seconds: float, look: Callable[[FolderBrowser], Answer]) -> Answer:
    provider = open_provider()

    def ask() -> Answer:
        try:
            if not isinstance(provider, FolderBrowser):
                raise ConfigurationError("the connection's provider shows no folders; only google_drive does.")
            return look(provider)
        finally:
            provider.close()

    return answer_in_time(ask, seconds)
