"""Everything that the Google Drive provider has to know, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from mixsync_dagster.model.paths import DrivePath
from mixsync_dagster.transport.addresses import AddressPolicy

ExportFormat = Literal["office", "pdf", "text"]


@dataclass(frozen=True, slots=True)
class DriveSettings:
    """One folder of a drive, and the credentials to read it; secrets are left out of `repr`."""

    place: DrivePath
    """The folder; the empty path is the whole drive."""
    account: Mapping[str, Any] = field(repr=False)
    """The credentials by the names of their model, with `type`."""
    shared_drive_id: str | None = None
    """None: My Drive, or the drive in which a folder given by its id is found."""
    impersonate_user: str | None = None
    api_endpoint: str = "https://www.googleapis.com/drive/v3/"
    """With or without a slash at its end."""
    verify: bool | str = True
    """A path names the bundle of trusted certificates."""
    export_format: ExportFormat = "office"
    """What documents of Google's own editors are turned into."""
    follow_shortcuts: bool = True
    page_rows: int = 1000
    """Files asked for per listing request; 1000 is the API's most, and pages may be shorter at any time."""
    few_folders: int = 10
    """Scopes of at most so many folders are listed folder by folder, others by going through the whole drive."""
    walk_folders: int = 50
    """A changed folder that holds more folders than this is not walked through: the scope is listed again."""
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 60.0
    """Longest silence on an open connection."""
    addresses: AddressPolicy | None = None
    """Where connections may go; None: anywhere."""
    max_connections: int = 256
    connection_id: str | None = None
    """Whose token it is; None: a connection that is not stored."""

    @property
    def who(self) -> str:
        """The account as a person knows it, for messages."""
        if self.impersonate_user:
            return self.impersonate_user
        if self.account.get("type") == "service_account":
            return str(self.account.get("client_email", "the service account"))
        return "the account that gave its consent"

    @property
    def source_path(self) -> str:
        """The source path as it was given."""
        if self.place.folder_id is not None:
            return self.place.folder_id
        return "/" + "/".join(self.place.folders or ())

    @property
    def scope_key(self) -> str:
        """Says whether a stored position belongs to these settings."""
        shortcuts = "followed" if self.follow_shortcuts else "left"
        return f"{self.shared_drive_id or 'user'} {self.source_path} {self.export_format} {shortcuts}"
