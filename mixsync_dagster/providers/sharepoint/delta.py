"""Pages of a delta: what Graph answers, as plain values, and refused when it could be mistaken for something else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.providers.sharepoint.client import GraphClient, segment

FIELDS = "id,name,size,eTag,lastModifiedDateTime,file,folder,package,root,deleted,malware,parentReference,remoteItem"
"""Asked for once; links carry the choice on. `$top` is never sent: the service has dropped files with it."""

# Documented as a header of its own, seen in use as a preference; either keeps unchanged parents out of the answer.
CHANGES_ONLY = {"Prefer": "deltaExcludeParent", "deltaExcludeParent": "true"}


@dataclass(frozen=True, slots=True)
class DeltaPage:
    """One answer: its entries, each id once in its last state, and the link that goes on or the one that ends it."""

    entries: Sequence[dict[str, Any]]
    next_link: str | None
    delta_link: str | None

    @property
    def link(self) -> str:
        """The link behind this page."""
        return self.next_link or self.delta_link or ""


def delta_of(drive_id: str, folder_id: str | None, *, latest: bool = False) -> str:
    """Return the path of the delta of a drive, or of a folder of it: from the start, or its present end alone."""
    place = "root" if folder_id is None else f"items/{segment(folder_id)}"
    after = "&token=latest" if latest else ""
    return f"/drives/{segment(drive_id)}/{place}/delta?$select={FIELDS}{after}"


def fetch_page(client: GraphClient, link: str, *, changes_only: bool = False) -> DeltaPage:
    """Return the page behind a link. Raises what `GraphClient.get` raises; ProviderUnavailable for an odd answer.

    An answer with neither a next nor a delta link, or whose next link is the one just followed, is odd: taken for the
    end of a listing, it would make everything behind it look removed.
    """
    body = client.get(link, CHANGES_ONLY if changes_only else None)
    entries: Any = body.get("value")
    next_link, delta_link = body.get("@odata.nextLink"), body.get("@odata.deltaLink")
    known = isinstance(entries, list) and all(
        isinstance(one, dict) and isinstance(one.get("id"), str) for one in entries
    )
    if not known or bool(next_link) == bool(delta_link):
        raise ProviderUnavailable(f"{client.place} answered with a page of changes that lacks its items or its link.")
    if next_link == link:
        raise ProviderUnavailable("The listing does not advance: a page's next link is its own.")
    last = {one["id"]: one for one in entries}
    return DeltaPage(list(last.values()), next_link or None, delta_link or None)


def is_folder(entry: dict[str, Any]) -> bool:
    """Return whether an entry can hold others: a folder, or a notebook, which is a folder of sections."""
    return "folder" in entry or "package" in entry


def is_root(entry: dict[str, Any]) -> bool:
    """Return whether an entry is the library's root."""
    return "root" in entry
