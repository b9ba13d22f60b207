"""The questions that listing and feed put to the API, in the provider's own words and errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from mixsync_dagster.errors import AccessDenied, ConfigurationError, PathNotFound, ProviderUnavailable
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.google_drive.client import DriveClient
from mixsync_dagster.providers.google_drive.errors import Refusal, request_error
from mixsync_dagster.providers.google_drive.exports import FOLDER, SHORTCUT
from mixsync_dagster.providers.google_drive.items import FILE_FIELDS
from mixsync_dagster.providers.google_drive.settings import DriveSettings

Answer = TypeVar("Answer")
Files = Sequence[Mapping[str, Any]]

FOLDERS = f"(mimeType = '{FOLDER}' or mimeType = '{SHORTCUT}')"
"""What the tree is made of."""
CONTENT = f"mimeType != '{FOLDER}' and mimeType != '{SHORTCUT}'"
"""What items are made of."""
PRESENT = "trashed = false"
"""Listings tell what is in the trash unless they are asked not to."""


def quoted(value: str) -> str:
    """Return a value for a query."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Drive:
    """One account's view of Drive. Errors are ours: RateLimited, ProviderUnavailable, AccessDenied and the like."""

    def __init__(self, client: DriveClient, settings: DriveSettings, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.settings = settings
        self._members: dict[str, bool] = {}

    def corpus_of(self, drive_id: str | None) -> str | None:
        """Return the shared drive if the account is a member of it, else None: the account's own corpus.

        Only members may search a shared drive and read its log; with others, single folders of it may be shared. Asks
        once for every drive but the connection's.
        """
        if drive_id is None or drive_id == self.settings.shared_drive_id:
            return drive_id
        if drive_id not in self._members:
            try:
                self._ask(lambda: self._client.get_drive(drive_id), keep=(403, 404))
                self._members[drive_id] = True
            except Refusal:
                self._members[drive_id] = False
        return drive_id if self._members[drive_id] else None

    def page(self, query: str, drive_id: str | None, token: str | None = None) -> tuple[Files, str | None]:
        """Return one page of files and the token of the next; only a missing token ends a listing, never a short page.

        Raises CursorExpired when the token is refused (they last for some hours), ProviderUnavailable also for a search
        that says itself to be incomplete.
        """
        corpus = self.corpus_of(drive_id)
        options: dict[str, Any] = {"corpora": "user"} if corpus is None else {"corpora": "drive", "driveId": corpus}
        if token is not None:
            options["pageToken"] = token
        answer = self._ask(
            lambda: self._client.list_files(
                q=query,
                pageSize=self.settings.page_rows,
                fields=f"nextPageToken,incompleteSearch,files({FILE_FIELDS})",
                **options,
            )
        )
        if answer.get("incompleteSearch"):
            raise ProviderUnavailable("Google Drive did not search everything; the listing has to be repeated.")
        files = answer.get("files")
        if not isinstance(files, list):
            raise ProviderUnavailable("Google Drive answered a listing without files.")
        next_token = answer.get("nextPageToken") or None
        if next_token is not None and next_token == token:
            raise ProviderUnavailable("Google Drive's listing does not advance: it gave the same page token twice.")
        return files, next_token

    def all(self, query: str, drive_id: str | None) -> Iterator[Mapping[str, Any]]:
        """Yield the files of all pages; raises as `page`."""
        token: str | None = None
        while True:
            files, token = self.page(query, drive_id, token)
            yield from files
            if token is None:
                return

    def file(self, file_id: str, resource_key: str | None = None) -> Mapping[str, Any] | None:
        """Return one file; None when it is gone or not shared with the account."""
        try:
            return self._ask(lambda: self._client.get_file(file_id, FILE_FIELDS, resource_key), keep=(403, 404))
        except Refusal:
            return None

    def drive_name(self, drive_id: str) -> str:
        """Return a shared drive's name. Raises PathNotFound when the account is no member."""
        try:
            return str(self._ask(lambda: self._client.get_drive(drive_id), keep=(403, 404)).get("name", ""))
        except Refusal as refusal:
            raise PathNotFound(
                f"shared_drive_id: {drive_id} does not exist, or {self.settings.who} is no member of it ({refusal}); "
                "add the account with the role Viewer."
            ) from None

    def start_token(self, drive_id: str | None) -> str:
        """Return the present end of a log."""
        return self._ask(lambda: self._client.start_token(drive_id))

    def changes(self, token: str, drive_id: str | None) -> Mapping[str, Any]:
        """Return one page of a log. Raises CursorExpired when the position is refused."""
        change = f"changeType,removed,fileId,driveId,file({FILE_FIELDS})"
        return self._ask(
            lambda: self._client.list_changes(
                token,
                drive_id,
                pageSize=self.settings.page_rows,
                fields=f"nextPageToken,newStartPageToken,changes({change})",
            )
        )

    def any_change(self, token: str, drive_id: str | None) -> bool:
        """Return whether a log goes on behind a position, by one small request."""
        answer = self._ask(
            lambda: self._client.list_changes(
                token, drive_id, pageSize=1, fields="nextPageToken,newStartPageToken,changes(changeType)"
            )
        )
        if answer.get("changes") or answer.get("nextPageToken"):
            return True
        if not answer.get("newStartPageToken"):
            raise ProviderUnavailable("Google Drive answered a question for changes without a position.")
        return False

    def _ask(self, question: Callable[[], Answer], *, keep: tuple[int, ...] = ()) -> Answer:
        try:
            return question()
        except Refusal as refusal:
            error = request_error(refusal, who=self.settings.who, now=self._clock.now())
            general = not isinstance(error, ConfigurationError) or (
                isinstance(error, AccessDenied) and refusal.code not in _ABOUT_ONE
            )
            if refusal.status in keep and not general:
                raise
            raise error from None


_ABOUT_ONE = frozenset({"", "forbidden", "insufficientFilePermissions", "PERMISSION_DENIED", "notFound", "NOT_FOUND"})
"""Reasons that a refusal gives which is about the file that was asked for, not about the account."""
