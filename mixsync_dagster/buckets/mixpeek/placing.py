"""One put: look up, bring bytes, create, then delete what was replaced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mixsync_dagster.buckets.mixpeek.objects import (
    OWN_FIELDS,
    Creations,
    Objects,
    Remote,
    body_of,
    inline_data,
    is_inline,
)
from mixsync_dagster.buckets.mixpeek.schema import RemoteSchema
from mixsync_dagster.buckets.mixpeek.spool import Content, Spool
from mixsync_dagster.buckets.mixpeek.uploads import Uploads, Wanted
from mixsync_dagster.errors import ItemError, MappingFailed, StoreUnavailable
from mixsync_dagster.model.objects import Blob, Draft, PutResult, PutStatus
from mixsync_dagster.ports.bucket import PutFailure
from mixsync_dagster.ports.hosted import RemoteIds, RemoteObject

_RESERVED = frozenset(
    {"status", "object_id", "bucket_id", "blobs", "error", "created_at", "updated_at", "source_details", "key_prefix"}
    | {"skip_duplicates", "canonicalize_source", "force_remirror", "document_count"}
    | OWN_FIELDS
)
"""Names of fields that mean something else at the root of an object."""


@dataclass
class Placing:
    """Puts drafts into one bucket; for one thread."""

    objects: Objects
    spool: Spool
    store: RemoteIds
    schema: RemoteSchema
    uploads: Uploads = field(init=False)

    def __post_init__(self) -> None:
        self.uploads = Uploads(self.objects.client)

    def place(self, decided: Sequence[PutResult]) -> dict[str, PutResult | PutFailure]:
        """Place drafts that are new or in another version, and return what became of each, by our object ids.

        Raises Throttled, BucketDenied, ConfigurationError, StoreUnavailable; a repeat finds what was done.
        """
        drafts = {one.draft.object_id: one.draft for one in decided}
        found = self.objects.find(drafts)
        known = self.store.remote_objects(list(drafts))
        there = {
            object_id: same[0].remote_object_id
            for object_id, draft in drafts.items()
            if (same := [one for one in found.get(object_id, ()) if one.version == draft.item.version])
        }
        failed = {object_id: error for object_id, d in drafts.items() if (error := self._unfit(d)) is not None}
        todo = [draft for object_id, draft in drafts.items() if object_id not in there and object_id not in failed]
        created = self._create(todo, failed)
        self._delete_others(found, known, {**there, **created})
        answers: dict[str, PutResult | PutFailure] = {}
        for object_id, draft in drafts.items():
            remote = there.get(object_id) or created.get(object_id)
            if remote is None:
                answers[object_id] = PutFailure(draft, failed[object_id])
                continue
            status = PutStatus.REPLACED if object_id in known else PutStatus.CREATED
            if object_id in there and object_id not in known:
                status = PutStatus.ALREADY_PRESENT
            elif object_id not in known and found.get(object_id):
                status = PutStatus.REPLACED
            answers[object_id] = PutResult(draft, status, object_id, remote)
        return answers

    def _create(self, drafts: Sequence[Draft], failed: dict[str, ItemError]) -> dict[str, str]:
        contents = self._contents(drafts)
        refused = self.uploads.bring(contents)
        creations = Creations(self.objects, one_by_one=bool(self.schema.unique_fields))
        ready = [draft for draft in drafts if not self._refused(draft, refused, failed)]
        creations.create(self._bodies(ready))
        if creations.failed and self.uploads.confirming:
            # Objects were created while uploads were being confirmed: those that were refused have another try.
            refused = self.uploads.await_confirmation()
            again = [draft for draft in ready if draft.object_id in creations.failed]
            again = [draft for draft in again if not self._refused(draft, refused, creations.failed)]
            creations.create(self._bodies(again))
        self.uploads.forget_confirmations()
        failed.update(creations.failed)
        return creations.created

    def _delete_others(
        self, found: Mapping[str, Sequence[Remote]], known: Mapping[str, RemoteObject], placed: Mapping[str, str]
    ) -> None:
        """Delete, of each object that is placed, whatever else carries its identity."""
        others = set()
        for object_id, kept in placed.items():
            ids = {remote.remote_object_id for remote in found.get(object_id, ())}
            if object_id in known:
                ids.add(known[object_id].remote_object_id)
            others |= ids - {kept}
        if others:
            self.objects.delete(sorted(others))

    def _unfit(self, draft: Draft) -> ItemError | None:
        for name in draft.fields:
            if name in _RESERVED:
                return MappingFailed(
                    f"{draft.item.path}: the service keeps the name {name} for itself; map the field to another one.",
                    error_type="validation_error",
                )
        for blob in draft.blobs:
            problem = self.schema.blob_problem(blob.property, blob.type)
            if problem is not None:
                return MappingFailed(
                    f"{draft.item.path} cannot fill the blob {blob.property}: {problem}.", error_type="validation_error"
                )
        return None

    def _contents(self, drafts: Iterable[Draft]) -> dict[Wanted, Content]:
        """Return the contents that have to be uploaded."""
        contents: dict[Wanted, Content] = {}
        for draft in drafts:
            for blob in draft.blobs:
                wanted = _wanted(blob)
                if wanted not in self.uploads.known and not is_inline(blob.mime_type, blob.size_bytes):
                    contents[wanted] = self._content(blob)
        return contents

    def _content(self, blob: Blob) -> Content:
        content = self.spool.find(blob.sha256)
        if content is None:
            raise StoreUnavailable(
                f"the bytes of {blob.filename} are not held any more; the next run reads them again."
            )
        return content

    def _refused(self, draft: Draft, refused: Mapping[Wanted, ItemError], failed: dict[str, ItemError]) -> bool:
        for blob in draft.blobs:
            error = refused.get(_wanted(blob))
            if error is not None:
                failed[draft.object_id] = error
                return True
        return False

    def _bodies(self, drafts: Iterable[Draft]) -> Iterator[dict[str, Any]]:
        """Yield requests one by one: what travels inline is read when its call is made."""
        for draft in drafts:
            yield body_of(draft, [self._blob(blob) for blob in draft.blobs])

    def _blob(self, blob: Blob) -> dict[str, Any]:
        told = {"property": blob.property, "type": blob.type}
        if not is_inline(blob.mime_type, blob.size_bytes):
            return {**told, "upload_id": self.uploads.known[_wanted(blob)]}
        opened = self._content(blob).open()
        content = opened if isinstance(opened, bytes) else opened.read()
        return {**told, "data": inline_data(content, filename=blob.filename, mime_type=blob.mime_type)}


def _wanted(blob: Blob) -> Wanted:
    return Wanted(blob.sha256, blob.filename, blob.mime_type)
