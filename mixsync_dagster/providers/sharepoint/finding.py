"""From a source path to the library and folder that it names."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote, urlsplit

from mixsync_dagster.errors import ConfigurationError, PathNotFound
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.sharepoint.client import GraphClient, segment
from mixsync_dagster.providers.sharepoint.cursors import Scope
from mixsync_dagster.providers.sharepoint.errors import Refusal, request_error
from mixsync_dagster.providers.sharepoint.settings import SharePointSettings
from mixsync_dagster.providers.sharepoint.tree import FolderLost, FolderTree

FOLDER_FIELDS = "id,name,file,folder,package,root,parentReference"
_MOST_LIBRARIES = 5_000


class Finder:
    """Asks Graph for sites, libraries and folders."""

    def __init__(self, client: GraphClient, settings: SharePointSettings, clock: Clock) -> None:
        self._client = client
        self._settings = settings
        self._clock = clock
        place = (settings.site_id, settings.drive_id, settings.source_site, settings.library, settings.folders)
        self.named = hashlib.blake2b(repr(place).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        """A digest of the settings that name the scope."""

    def find(self) -> Scope:
        """Return the scope of the settings.

        One request for each of site, library and folder, a few more where names have to be looked for. Raises
        PathNotFound, AccessDenied, ConfigurationError, Throttled.
        """
        settings = self._settings
        drive = self._drive()
        drive_id = _text(drive, "id")
        if not settings.folders:
            return Scope(drive_id, None, "", self.named)
        named = "/".join(settings.folders)
        place = f"the folder {named} in the library {drive.get('name') or drive_id}"
        names = "/".join(segment(name) for name in settings.folders)
        entry = self._ask(f"/drives/{segment(drive_id)}/root:/{names}?$select={FOLDER_FIELDS}", place)
        if "file" in entry:
            raise ConfigurationError(f"source_path: {named} is a file; give the folder that holds it.")
        tree = FolderTree(lambda folder_id: self.folder(drive_id, folder_id))
        tree.note(entry)
        try:
            return Scope(drive_id, _text(entry, "id"), tree.path_of(_text(entry, "id")), self.named)
        except FolderLost:
            raise PathNotFound(f"source_path: {place} does not exist any more.") from None

    def folder(self, drive_id: str, folder_id: str) -> dict[str, Any]:
        """Return a folder's entry by id. Raises FolderLost when it is gone or may not be read, and as `find`."""
        try:
            return self._client.get(f"/drives/{segment(drive_id)}/items/{segment(folder_id)}?$select={FOLDER_FIELDS}")
        except Refusal as refusal:
            if refusal.status in (403, 404, 410):
                raise FolderLost(folder_id, gone=refusal.status != 403) from None  # noqa: PLR2004 - Forbidden
            raise request_error(refusal, place=f"a folder ({folder_id})", now=self._clock.now()) from None

    def _drive(self) -> dict[str, Any]:
        settings = self._settings
        if settings.source_site is not None:
            shown = f"the site /{settings.source_site}"
            site = self._ask(f"/sites/{self._hostname()}:/{_path(settings.source_site)}?$select=id,webUrl", shown)
            if settings.library is not None:
                return self._library(_text(site, "id"), settings.library, shown)
            return self._default_library(_text(site, "id"), shown)
        if settings.drive_id is not None:
            return self._ask(f"/drives/{segment(settings.drive_id)}?{_DRIVE}", f"the library {settings.drive_id}")
        if settings.site_id is not None:
            shown = f"the site {settings.site_id}"
            site = self._ask(f"/sites/{_site(settings.site_id)}?$select=id,webUrl", shown)
            return self._default_library(_text(site, "id"), shown)
        if not settings.delegated:
            raise ConfigurationError(
                "site_id: nothing is given, and an application that acts as itself has no OneDrive of its own; give "
                "site_id or drive_id, or a source path that begins with /sites/, /teams/ or /personal/."
            )
        return self._ask(f"/me/drive?{_DRIVE}", "the user's OneDrive")

    def _hostname(self) -> str:
        """Return the SharePoint host of the source path's site: the connection's, or the tenant's."""
        host = _host_of(self._settings.site_id)
        if host is None:
            root = self._ask("/sites/root?$select=siteCollection,webUrl", "the tenant's root site")
            told = (root.get("siteCollection") or {}).get("hostname") or urlsplit(str(root.get("webUrl"))).hostname
            host = str(told or "")
        if str(self._settings.source_site).lower().startswith("personal/"):
            first, dot, rest = host.partition(".")
            # Personal sites live on a host of their own: contoso-my.sharepoint.com.
            host = host if first.endswith("-my") or not rest.startswith("sharepoint") else f"{first}-my{dot}{rest}"
        return segment(host)

    def _default_library(self, site_id: str, site: str) -> dict[str, Any]:
        return self._ask(f"/sites/{segment(site_id)}/drive?{_DRIVE}", f"the default library of {site}")

    def _library(self, site_id: str, name: str, site: str) -> dict[str, Any]:
        """Return the library by its display name, or by its name in addresses (Documents is Shared Documents there)."""
        drives: list[dict[str, Any]] = []
        link: str | None = f"/sites/{segment(site_id)}/drives?{_DRIVE}"
        while link and len(drives) < _MOST_LIBRARIES:
            page = self._ask(link, f"the libraries of {site}")
            found = [one for one in page.get("value") or () if isinstance(one, dict)]
            drives += found
            link = str(page.get("@odata.nextLink") or "") if found else None
        for named in (_display_name, _address_name):
            for drive in drives:
                if named(drive).casefold() == name.casefold():
                    return drive
        known = ", ".join(sorted(_display_name(drive) for drive in drives)) or "none"
        raise PathNotFound(f"source_path: the library {name} does not exist in {site}; its libraries are: {known}.")

    def _ask(self, path: str, place: str) -> dict[str, Any]:
        try:
            return self._client.get(path)
        except Refusal as refusal:
            raise request_error(refusal, place=place, now=self._clock.now()) from None


_DRIVE = "$select=id,name,webUrl"


def _display_name(drive: dict[str, Any]) -> str:
    return str(drive.get("name") or "")


def _address_name(drive: dict[str, Any]) -> str:
    return unquote(urlsplit(str(drive.get("webUrl") or "")).path.rstrip("/").rpartition("/")[2])


def _site(site_id: str) -> str:
    """Return a site's part of a path: for `root`, an id, or a URL."""
    if "://" not in site_id:
        return segment(site_id)
    parts = urlsplit(site_id)
    path = unquote(parts.path.strip("/"))
    host = segment(parts.hostname or "")
    return f"{host}:/{_path(path)}" if path else host


def _host_of(site_id: str | None) -> str | None:
    if site_id is None or site_id == "root":
        return None
    if "://" in site_id:
        return urlsplit(site_id).hostname
    host, comma, _ = site_id.partition(",")
    return host if comma else None


def _path(text: str) -> str:
    return "/".join(segment(part) for part in text.split("/"))


def _text(entry: dict[str, Any], name: str) -> str:
    value = entry.get(name)
    if not isinstance(value, str) or not value:
        raise ConfigurationError(f"graph_endpoint: an answer lacks {name}; this is not Microsoft Graph.")
    return value
