"""What becomes of drafts by what the catalog and the puts before them know: created, replaced, there, or duplicates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mixsync_dagster.buckets.placed import PlacedContents, contents_of
from mixsync_dagster.model.objects import PutResult, PutStatus

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mixsync_dagster.model.objects import Draft
    from mixsync_dagster.ports.state import Catalog

_NOTHING: frozenset[str] = frozenset()


class Deciding:
    """Decides for one bucket. Not safe for threads.

    The first draft with some bytes owns them, within a call as well as between calls not committed yet.
    """

    def __init__(self, bucket_id: str, catalog: Catalog) -> None:
        self._bucket_id = bucket_id
        self._catalog = catalog
        self._placed = PlacedContents()

    def decide(self, drafts: Sequence[Draft], *, skip_duplicates: bool) -> list[PutResult]:
        """Return what becomes of each draft, in their order."""
        # Nobody's bytes matter unless duplicates are looked for.
        contents = [contents_of(draft) if skip_duplicates else _NOTHING for draft in drafts]
        told = _NOTHING.union(*contents)
        recorded = self._catalog.owners_of_content(self._bucket_id, sorted(told)) if told else {}
        unrecorded = self._unrecorded_owners(told, recorded)
        ids = {draft.object_id for draft in drafts} | set(unrecorded.values())
        versions = dict(self._catalog.versions_by_id(sorted(ids)))
        replacing = {
            draft.object_id: given
            for draft, given in zip(drafts, contents, strict=True)
            if versions.get(draft.object_id, draft.item.version) != draft.item.version
        }
        owners = {
            sha256: owner for sha256, owner in recorded.items() if self._placed.still_owns(owner, sha256, replacing)
        }
        # An owner that the catalog knows was recorded since, and would be in `recorded` if it still had the bytes.
        owners.update((sha256, owner) for sha256, owner in unrecorded.items() if owner not in versions)
        return [
            self._result(draft, given, versions, owners, skip_duplicates=skip_duplicates)
            for draft, given in zip(drafts, contents, strict=True)
        ]

    def forget(self, object_ids: Iterable[str]) -> None:
        """Take back that these objects own bytes: they could not be put."""
        for object_id in object_ids:
            self._placed.forget(object_id)

    def _unrecorded_owners(self, contents: frozenset[str], recorded: Mapping[str, str]) -> dict[str, str]:
        found = {}
        for sha256 in contents:
            owner = self._placed.owner_of(sha256)
            if owner is not None and sha256 not in recorded:
                found[sha256] = owner
        return found

    def _result(
        self,
        draft: Draft,
        contents: frozenset[str],
        versions: dict[str, str],
        owners: dict[str, str],
        *,
        skip_duplicates: bool,
    ) -> PutResult:
        # Note for the drafts that follow: `versions` and `owners` tell what the drafts before this one did.
        known = versions.get(draft.object_id)
        if known is None and skip_duplicates:
            owner = _owner_of_all(draft, owners)
            if owner is not None:
                return PutResult(draft=draft, status=PutStatus.DUPLICATE, object_id=owner)
        versions[draft.object_id] = draft.item.version
        if skip_duplicates:
            self._placed.remember(draft.object_id, contents)
            for sha256 in contents:
                owners.setdefault(sha256, draft.object_id)
        return PutResult(draft=draft, status=_status(known, draft.item.version), object_id=draft.object_id)


def _status(known: str | None, version: str) -> PutStatus:
    if known is None:
        return PutStatus.CREATED
    return PutStatus.ALREADY_PRESENT if known == version else PutStatus.REPLACED


def _owner_of_all(draft: Draft, owners: Mapping[str, str]) -> str | None:
    """Return the owner of the first blob if every blob has bytes that another object owns, else None.

    Empty blobs have no owners, so they make no duplicates.
    """
    first: str | None = None
    for blob in draft.blobs:
        owner = owners.get(blob.sha256)
        if owner is None or owner == draft.object_id:
            return None
        first = first or owner
    return first
