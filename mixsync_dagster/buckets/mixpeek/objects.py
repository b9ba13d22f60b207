"""Objects at the service: found by the identity that they carry, created many at once, deleted.

What identifies an object is stored on it as fields at its root: `mixsync_object_id` (ours, which follows from bucket,
provider and source object id), `mixsync_version` and, for people, `mixsync_source`. Root fields of any name are taken
by both schemas (0.81 and 0.82: CreateObjectRequest allows additional properties, and extra keys are the mapped fields)
and come back at the root of ObjectResponse. That a list can be filtered by them, by the shorthand or by a condition
with the operator `in`, is read from the schema (FilterCondition.field is free, "flat fields at root level"); it was
never seen at the real service, nor whether a list lags behind. `idempotency_key` is not sent: 0.81 keeps unknown root
keys as fields, so it would land in the data.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from mixsync_dagster.buckets.mixpeek.client import MixpeekClient
from mixsync_dagster.buckets.mixpeek.errors import Refusal, item_error, shown
from mixsync_dagster.buckets.mixpeek.parts import parts_of
from mixsync_dagster.errors import ItemError, ItemRefused, ProviderUnavailable
from mixsync_dagster.model.objects import Draft

OBJECT_ID, VERSION, SOURCE = "mixsync_object_id", "mixsync_version", "mixsync_source"
OWN_FIELDS = frozenset({OBJECT_ID, VERSION, SOURCE})

CREATED_AT_ONCE = 100
"""Most objects of one call, by the API's own bound."""
FOUND_AT_ONCE = 1_000
"""Most identities of one look-up: the longest page of a list."""
INLINE_BYTES = 16 * 1024
"""Text and JSON up to this size travel inside of their object; a call then has some 2 MB at most."""
_AT_ONCE = 8
_PAGES = 100


@dataclass(frozen=True, slots=True)
class Remote:
    """An object at the service that carries one of our identities."""

    remote_object_id: str
    version: str
    created_at: str


def is_inline(mime_type: str, size_bytes: int) -> bool:
    """Return whether a content travels inside of its object: small text and JSON, not empty."""
    kind = mime_type.partition(";")[0].strip().lower()
    return 0 < size_bytes <= INLINE_BYTES and (kind.startswith("text/") or kind == "application/json")


def inline_data(content: bytes, *, filename: str, mime_type: str) -> dict[str, str]:
    """Return a content as it travels inline. Never as plain text: text that looks like an address is fetched."""
    return {"base64": base64.b64encode(content).decode(), "mime_type": mime_type, "filename": filename}


def body_of(draft: Draft, blobs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the request that creates the draft's object."""
    return {**draft.fields, "blobs": list(blobs), **identity_of(draft)}


def identity_of(draft: Draft) -> dict[str, str]:
    """Return the fields by which the draft's object is found again."""
    source = f"{draft.source_provider}:{draft.item.source_object_id}"
    return {OBJECT_ID: draft.object_id, VERSION: draft.item.version, SOURCE: source}


@dataclass
class Objects:
    """The objects of one bucket."""

    client: MixpeekClient

    def find(self, object_ids: Iterable[str]) -> dict[str, list[Remote]]:
        """Return the objects that carry these identities, newest first; one call for a thousand."""
        found: dict[str, list[Remote]] = {}
        for several in parts_of(object_ids, FOUND_AT_ONCE):
            for one in self._listed(several):
                remote = Remote(str(one.get("object_id")), str(one.get(VERSION)), str(one.get("created_at") or ""))
                found.setdefault(str(one.get(OBJECT_ID)), []).append(remote)
        for remotes in found.values():
            remotes.sort(key=lambda remote: remote.created_at, reverse=True)
        return found

    def delete(self, remote_object_ids: Sequence[str]) -> None:
        """Delete objects; absent already is success. One call each: the API has none for several."""

        def delete(remote_object_id: str) -> None:
            try:
                self.client.call("DELETE", f"/objects/{quote(remote_object_id, safe='')}")
            except Refusal as refusal:
                if not refusal.absent:
                    raise ProviderUnavailable(
                        f"{self.client.host} does not delete an object ({refusal}); the next run tries again."
                    ) from None

        if len(remote_object_ids) == 1:
            delete(remote_object_ids[0])
            return
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(delete, remote_object_ids))

    def patch(self, remote_object_id: str, fields: Mapping[str, Any]) -> None:
        """Change fields of an object. Raises Refusal."""
        self.client.call("PATCH", f"/objects/{quote(remote_object_id, safe='')}", fields)

    def exists(self, remote_object_id: str) -> bool:
        """Return whether the service has the object. Raises Refusal for any other answer than yes and no."""
        try:
            self.client.call("GET", f"/objects/{quote(remote_object_id, safe='')}")
        except Refusal as refusal:
            if refusal.absent:
                return False
            raise
        return True

    def get(self, remote_object_id: str) -> Mapping[str, Any]:
        """Return an object with presigned addresses of its blobs. Raises Refusal."""
        path = f"/objects/{quote(remote_object_id, safe='')}"
        return self.client.call("GET", path, query={"return_presigned_urls": "true"}).body

    def _listed(self, object_ids: Sequence[str]) -> Iterable[Mapping[str, Any]]:
        condition = {"field": OBJECT_ID, "operator": "in", "value": list(object_ids)}
        body = {"filters": {"AND": [condition]}, "select": [OBJECT_ID, VERSION, "created_at"]}
        query: dict[str, Any] = {"limit": FOUND_AT_ONCE}
        for _ in range(_PAGES):
            page = self.client.call("POST", "/objects/list", body, query=query).body
            yield from (one for one in page.get("results") or () if isinstance(one, Mapping))
            cursor = (page.get("pagination") or {}).get("next_cursor")
            if not cursor:
                return
            query = {"limit": FOUND_AT_ONCE, "cursor": cursor}


@dataclass
class Creations:
    """Objects to be created; no answer that is lost makes two of one.

    A call whose answer is lost may have been carried out. Before it is made again, the objects are looked up by their
    identities, after the time that a list may lag, and those that are there are taken as created.
    """

    objects: Objects
    one_by_one: bool
    """Whether the bucket has a unique key, on which several at once are refused."""
    created: dict[str, str] = field(default_factory=dict)
    """The service's ids by ours."""
    failed: dict[str, ItemError] = field(default_factory=dict)

    def create(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Create objects, at most CREATED_AT_ONCE a call; what failed before is tried again.

        Raises Throttled when patience is exhausted, BucketDenied, ConfigurationError.
        """
        for several in parts_of(bodies, 1 if self.one_by_one else CREATED_AT_ONCE):
            self._create_some(several)

    def _create_some(self, bodies: list[Mapping[str, Any]]) -> None:
        unsure = False
        waiting = bodies

        def attempt() -> Mapping[str, Any] | None:
            nonlocal unsure, waiting
            if unsure:
                waiting = self._not_there(waiting)
                unsure = False
                if not waiting:
                    return None
            try:
                return self._send(waiting)
            except ProviderUnavailable:
                unsure = True
                raise

        try:
            answer = self.objects.client.patient(attempt)
        except Refusal as refusal:
            self._refused(waiting, refusal)
            return
        if answer is not None:
            self._take(waiting, answer)

    def _not_there(self, bodies: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        client = self.objects.client
        client.clock.sleep(client.settings.list_lag_seconds)
        found = self.objects.find([body[OBJECT_ID] for body in bodies])
        missing = []
        for body in bodies:
            same = [one for one in found.get(body[OBJECT_ID], ()) if one.version == body[VERSION]]
            if same:
                self._took(body[OBJECT_ID], same[0].remote_object_id)
            else:
                missing.append(body)
        return missing

    def _send(self, bodies: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
        client = self.objects.client
        if self.one_by_one:
            # An upsert: sent again, it changes the object that has the same unique key.
            return {"succeeded": [client.once("POST", "/objects", bodies[0], query={"policy": "upsert"}).body]}
        try:
            return client.once("POST", "/objects/batch", {"objects": list(bodies)}).body
        except Refusal as refusal:
            # All failed: the same body as that of a success, with another status.
            if "failed" in refusal.body:
                return refusal.body
            raise

    def _take(self, bodies: Sequence[Mapping[str, Any]], answer: Mapping[str, Any]) -> None:
        reasons = {one.get("object_index"): one for one in answer.get("failed") or ()}
        succeeded = [one for one in answer.get("succeeded") or () if isinstance(one, Mapping)]
        named = {str(one.get(OBJECT_ID)): str(one.get("object_id")) for one in succeeded}
        # In the order of the request, in case the identity does not come back.
        in_order = iter(succeeded)
        for index, body in enumerate(bodies):
            object_id = body[OBJECT_ID]
            if index in reasons:
                self.failed[object_id] = _failure(body, reasons[index])
                continue
            told = next(in_order, {})
            remote = named.get(object_id) or str(told.get("object_id") or "")
            if not remote:
                raise ProviderUnavailable(f"{self.objects.client.host} did not tell what became of every object.")
            self._took(object_id, remote)

    def _refused(self, bodies: list[Mapping[str, Any]], refusal: Refusal) -> None:
        if len(bodies) == 1:
            body = bodies[0]
            self.failed[body[OBJECT_ID]] = item_error(refusal, path=_path(body), what="the object of")
            return
        # The whole call is refused for one of them: halved until each has its own answer.
        middle = len(bodies) // 2
        self._create_some(bodies[:middle])
        self._create_some(bodies[middle:])

    def _took(self, object_id: str, remote_object_id: str) -> None:
        self.created[object_id] = remote_object_id
        self.failed.pop(object_id, None)


def _path(body: Mapping[str, Any]) -> str:
    return str(body[SOURCE])


def _failure(body: Mapping[str, Any], told: Mapping[str, Any]) -> ItemError:
    kind = shown(told.get("error_type"))
    reason = shown(told.get("error"))
    error_type = "validation_error" if "validation" in kind.lower() else "refused"
    return ItemRefused(f"the service refuses the object of {_path(body)} ({kind}: {reason}).", error_type=error_type)
