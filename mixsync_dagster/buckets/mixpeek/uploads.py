"""Contents brought to the service: announced, sent to a presigned address, confirmed.

Up to 100 are announced and confirmed by one call. Many confirmations are a task in the background, so that objects are
created at once and only those that are refused wait for it. The service is told the sha256 of each content, and finds
by it what a run before has brought already; the ETag of what was sent is compared with the content's MD5.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from mixsync_dagster.buckets.mixpeek.client import MixpeekClient
from mixsync_dagster.buckets.mixpeek.errors import Refusal, item_error
from mixsync_dagster.buckets.mixpeek.parts import parts_of
from mixsync_dagster.buckets.mixpeek.spool import Content
from mixsync_dagster.buckets.mixpeek.tasks import finished_task
from mixsync_dagster.errors import ItemCorrupt, ItemError, ProviderUnavailable

AT_ONCE = 100
"""Most uploads of one call, by the API's own bound."""
FEW = 2
"""Up to so many uploads are confirmed one by one: a task would have to be asked for as well."""
LONGEST_NAME = 255
_SENDERS = 8
_REMEMBERED = 20_000
_MD5 = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Wanted:
    """One content as one object needs it: the service keeps file name and MIME type with the upload."""

    sha256: str
    filename: str
    mime_type: str


@dataclass
class Uploads:
    """The uploads of one bucket; for one thread."""

    client: MixpeekClient
    known: dict[Wanted, str] = field(default_factory=dict)
    """Upload ids, confirmed or about to be."""
    _confirming: dict[str, list[tuple[str, Wanted, Content]]] = field(default_factory=dict)
    """What each task confirms, with the ETag that was answered."""

    def bring(self, contents: Mapping[Wanted, Content]) -> dict[Wanted, ItemError]:
        """Bring what is not there yet and return what the service does not take.

        Raises Throttled when patience is exhausted, BucketDenied, ConfigurationError.
        """
        failed: dict[Wanted, ItemError] = {}
        missing = [wanted for wanted in contents if wanted not in self.known]
        for several in parts_of(missing, AT_ONCE):
            self._bring_some(several, contents, failed)
        while len(self.known) > _REMEMBERED:
            del self.known[next(iter(self.known))]
        return failed

    def await_confirmation(self) -> dict[Wanted, ItemError]:
        """Return when every confirmation has an outcome, with the errors of those that failed; they are forgotten."""
        failed: dict[Wanted, ItemError] = {}
        for task_id, parts in list(self._confirming.items()):
            status = finished_task(self.client, task_id)
            del self._confirming[task_id]
            if status != "COMPLETED":
                # The task does not tell which failed: asked one by one, each says why.
                for etag, wanted, content in parts:
                    self._confirm_one(etag, wanted, content, failed)
        return failed

    def forget_confirmations(self) -> None:
        """Ask no more about confirmations: every object that needed them is there or has failed."""
        self._confirming.clear()

    @property
    def confirming(self) -> bool:
        """Whether confirmations are under way."""
        return bool(self._confirming)

    def _bring_some(
        self, several: Sequence[Wanted], contents: Mapping[Wanted, Content], failed: dict[Wanted, ItemError]
    ) -> None:
        addresses: list[tuple[Wanted, str]] = []
        for wanted, told in self._announced(several, contents, failed):
            upload_id = str(told.get("duplicate_of_upload_id") or told.get("upload_id"))
            self.known[wanted] = upload_id
            if told.get("presigned_url"):
                addresses.append((wanted, str(told["presigned_url"])))
        with ThreadPoolExecutor(_SENDERS) as pool:
            sent = list(pool.map(lambda one: self._send(one[1], contents[one[0]], one[0]), addresses))
        confirmed = [(etag, wanted, contents[wanted]) for etag, (wanted, _) in zip(sent, addresses, strict=True)]
        if len(confirmed) <= FEW:
            for etag, wanted, content in confirmed:
                self._confirm_one(etag, wanted, content, failed)
            return
        body = {"confirmations": [{"upload_id": self.known[w], **_proof(etag, c)} for etag, w, c in confirmed]}
        task = self.client.call("POST", "/uploads/confirm/batch", body).body
        self._confirming[str(task.get("task_id"))] = confirmed

    def _announced(
        self, several: Sequence[Wanted], contents: Mapping[Wanted, Content], failed: dict[Wanted, ItemError]
    ) -> Iterable[tuple[Wanted, Mapping[str, Any]]]:
        """Yield each content with the upload that was made for it, or with the one that has it already."""
        again: list[Wanted] = []
        for wanted, told in self._announce(several, contents, failed, reuse=True):
            same = (told.get("filename"), told.get("content_type")) == (_name(wanted), wanted.mime_type)
            if told.get("is_duplicate") and not same:
                # The same bytes under another name or type: what objects show of a blob comes from its upload.
                again.append(wanted)
            else:
                yield wanted, told
        if again:
            yield from self._announce(again, contents, failed, reuse=False)

    def _announce(
        self,
        several: Sequence[Wanted],
        contents: Mapping[Wanted, Content],
        failed: dict[Wanted, ItemError],
        *,
        reuse: bool,
    ) -> Iterable[tuple[Wanted, Mapping[str, Any]]]:
        requests = [_request(wanted, contents[wanted], reuse=reuse) for wanted in several]
        if len(several) > 1:
            try:
                answer = self.client.call("POST", "/uploads/batch", {"uploads": requests}).body
            except Refusal:
                # One of them is the reason; asked one by one, the service says which.
                pass
            else:
                told = answer.get("uploads")
                if not isinstance(told, list) or len(told) != len(several):
                    raise ProviderUnavailable(f"{self.client.host} answered with other uploads than were asked for.")
                yield from zip(several, told, strict=True)
                return
        for wanted, request in zip(several, requests, strict=True):
            try:
                yield wanted, self.client.call("POST", "/uploads", request).body
            except Refusal as refusal:
                failed[wanted] = item_error(refusal, path=wanted.filename, what="the upload of")

    def _send(self, url: str, content: Content, wanted: Wanted) -> str:
        def attempt() -> str:
            etag = self.client.put(url, content.open, content.size_bytes, wanted.mime_type)
            if _MD5.fullmatch(etag) and etag != content.md5:
                raise ProviderUnavailable(f"the bytes of {wanted.filename} did not arrive as they were sent.")
            return etag

        return self.client.patient(attempt)

    def _confirm_one(self, etag: str, wanted: Wanted, content: Content, failed: dict[Wanted, ItemError]) -> None:
        path = f"/uploads/{self.known[wanted]}/confirm"
        try:
            answer = self.client.call("POST", path, _proof(etag, content)).body
        except Refusal as refusal:
            failed[wanted] = ItemCorrupt(f"the service does not confirm the upload of {wanted.filename} ({refusal}).")
            del self.known[wanted]
            return
        if answer.get("task_id") and answer.get("status") != "COMPLETED":
            self._confirming[str(answer["task_id"])] = [(etag, wanted, content)]


def _name(wanted: Wanted) -> str:
    """Return the name as the service takes one: without folders and parents, of at most 255 characters."""
    plain = wanted.filename.replace("\\", "_").replace("/", "_").replace("..", "_")
    if len(plain) > LONGEST_NAME:
        stem, dot, ending = plain.rpartition(".")
        plain = f"{stem[: LONGEST_NAME - 1 - len(ending)]}{dot}{ending}" if dot and len(ending) < 20 else plain  # noqa: PLR2004
    return plain[:LONGEST_NAME] or "unnamed"


def _request(wanted: Wanted, content: Content, *, reuse: bool) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "filename": _name(wanted),
        "content_type": wanted.mime_type,
        "file_hash": content.sha256,
        "skip_duplicates": reuse,
        "create_object_on_confirm": False,
    }
    # No size is told of an empty file: the least that the API takes is 1.
    return {**asked, "file_size_bytes": content.size_bytes} if content.size_bytes else asked


def _proof(etag: str, content: Content) -> dict[str, Any]:
    told: dict[str, Any] = {"etag": etag} if etag else {}
    return {**told, "file_size_bytes": content.size_bytes} if content.size_bytes else told
