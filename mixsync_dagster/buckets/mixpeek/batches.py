"""Batches for processing: made as drafts, remembered, submitted once each.

What the service calls a batch is recorded before it is submitted, so that a crash or a lost answer at any point leads
back to the same batch: a recorded one is asked about before it is submitted again, and one that was made and never
recorded is still a draft, found among the drafts by its objects. No draft is left: one too many is deleted.

Inferred, for no source says: a list of drafts tells a new one within the same time as a list of objects, and a batch
that was submitted is never a draft again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from mixsync_dagster.buckets.mixpeek.client import MixpeekClient
from mixsync_dagster.buckets.mixpeek.errors import Refusal, shown
from mixsync_dagster.errors import ConfigurationError, ProviderUnavailable
from mixsync_dagster.model.objects import BatchMember, SubmittedBatch
from mixsync_dagster.ports.hosted import BatchProgress, RemoteIds, UnfinishedBatch

_DRAFT = "DRAFT"
_PAGE = 100
_MOST_DRAFTS = 10_000


@dataclass
class Batches:
    """The batches of one bucket."""

    client: MixpeekClient
    store: RemoteIds

    def submit(self, batch_id: str, members: Iterable[BatchMember]) -> SubmittedBatch:
        """Submit the batch of these members, once however often it is called.

        Members whose version has been replaced or removed since are left out: a newer batch has what replaced them.
        Raises Throttled, BucketDenied, ConfigurationError, and NotFound for a batch that was never sealed.
        """
        known = self.store.remote_batch(batch_id)
        remote_id = known.remote_batch_id
        if remote_id is not None:
            found = self._find(remote_id)
            if found is not None:
                return self._submitted(batch_id, found)
            # It was a draft for too long, and was taken away.
        object_ids = self._present(members)
        if not object_ids:
            return SubmittedBatch(batch_id, None)
        made = self._made(object_ids, look_first=known.attempts > 1)
        if not self.store.record_remote_batch(batch_id, str(made["batch_id"]), instead_of=remote_id):
            self._delete(str(made["batch_id"]))
            raise ProviderUnavailable(f"batch {batch_id} is being submitted by another worker.")
        return self._submitted(batch_id, made)

    def progress(self, batch: UnfinishedBatch) -> BatchProgress:
        """Return how a batch's processing goes, by its task or, where that is forgotten, by the batch itself.

        `ask_again_at` is left to the caller. Raises Throttled, BucketDenied, ConfigurationError.
        """
        told = self._task(batch.task_id) if batch.task_id else None
        if told is None:
            told = self._find(batch.remote_batch_id)
        if told is None:
            return BatchProgress("UNKNOWN", f"{self.client.host} knows neither the batch nor its task any more")
        error = told.get("error") or (told.get("additional_data") or {}).get("error")
        return BatchProgress(str(told.get("status")), shown(error) or None)

    def _made(self, object_ids: list[str], *, look_first: bool) -> Mapping[str, Any]:
        unsure = look_first

        def attempt() -> Mapping[str, Any]:
            nonlocal unsure
            if unsure:
                self.client.clock.sleep(self.client.settings.list_lag_seconds)
                found = self._draft_of(object_ids)
                unsure = False
                if found is not None:
                    return found
            try:
                return self.client.once("POST", "/batches", {"object_ids": object_ids}).body
            except ProviderUnavailable:
                unsure = True
                raise

        try:
            return self.client.patient(attempt)
        except Refusal as refusal:
            raise ConfigurationError(f"{self.client.host} refuses a batch ({refusal}).") from None

    def _draft_of(self, object_ids: list[str]) -> Mapping[str, Any] | None:
        """Return the draft of exactly these objects, None when there is none; others of the same are deleted."""
        wanted, found = set(object_ids), []
        for offset in range(0, _MOST_DRAFTS, _PAGE):
            body = {"status": _DRAFT, "offset": offset, "limit": _PAGE}
            page = self.client.call("POST", "/batches/list", body).body.get("results") or ()
            found += [one for one in page if set(one.get("object_ids") or ()) == wanted]
            if len(page) < _PAGE:
                break
        for spare in found[1:]:
            self._delete(str(spare["batch_id"]))
        return found[0] if found else None

    def _submitted(self, batch_id: str, batch: Mapping[str, Any]) -> SubmittedBatch:
        remote_id = str(batch["batch_id"])
        current: Mapping[str, Any] | None = batch

        def attempt() -> SubmittedBatch:
            nonlocal current
            if current is None:
                current = self._find(remote_id)
            if current is None:
                raise ProviderUnavailable(f"{self.client.host} does not know batch {remote_id}; it is made anew.")
            if current.get("status", _DRAFT) != _DRAFT:
                return SubmittedBatch(batch_id, current.get("task_id"))
            # Whatever comes of it, the batch is looked at before it is submitted again.
            current = None
            task = self.client.once("POST", f"/batches/{quote(remote_id, safe='')}/submit", {}).body
            return SubmittedBatch(batch_id, str(task["task_id"]) if task.get("task_id") else None)

        try:
            return self.client.patient(attempt)
        except Refusal as refusal:
            raise ConfigurationError(f"{self.client.host} refuses to process a batch ({refusal}).") from None

    def _present(self, members: Iterable[BatchMember]) -> list[str]:
        versions = {member.object_id: member.version for member in members}
        remote = self.store.remote_objects(list(versions))
        return [
            remote[object_id].remote_object_id
            for object_id, version in versions.items()
            if object_id in remote and remote[object_id].version == version
        ]

    def _find(self, remote_id: str) -> Mapping[str, Any] | None:
        return self._asked(f"/batches/{quote(remote_id, safe='')}")

    def _asked(self, path: str) -> Mapping[str, Any] | None:
        try:
            return self.client.call("GET", path).body
        except Refusal as refusal:
            if refusal.absent:
                return None
            raise ConfigurationError(f"{self.client.host} refuses to tell of a batch ({refusal}).") from None

    def _task(self, task_id: str) -> Mapping[str, Any] | None:
        try:
            return self.client.task(task_id).body
        except Refusal:
            # Tasks are forgotten after a while; the batch is not.
            return None

    def _delete(self, remote_id: str) -> None:
        try:
            self.client.call("DELETE", f"/batches/{quote(remote_id, safe='')}")
        except Refusal as refusal:
            if not refusal.absent:
                raise ConfigurationError(f"{self.client.host} does not delete a draft ({refusal}).") from None
