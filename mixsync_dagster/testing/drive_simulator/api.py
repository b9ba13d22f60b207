"""What the simulated API answers to each request, as plain values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mixsync_dagster.testing.drive_simulator.files import GOOGLE, DriveFiles, SimulatedFile
from mixsync_dagster.testing.drive_simulator.queries import NotUnderstood, mask, masked, query

_MOST_ROWS = 1000
_DEFAULT = "kind,id,name,mimeType"
Query = Mapping[str, str]


@dataclass
class Answer:
    """Status, body and headers; a body that is no bytes is sent as JSON."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, reason: str, message: str = "Refused.", location: str = "", **detail: Any) -> None:
        super().__init__(message)
        first = {"domain": detail.get("domain", "global"), "reason": reason, "message": message}
        if location:
            first |= {"location": location, "locationType": "parameter"}
        error: dict[str, Any] = {"code": status, "message": message, "errors": [first]}
        if "details" in detail:
            error["details"] = detail["details"]
        self.answer = Answer(status, {"error": error}, detail.get("headers", {}))


class DriveApi:
    """The methods of the API as far as they are used."""

    def __init__(self, files: DriveFiles) -> None:
        self.files = files
        self.address = ""
        self.page_rows = _MOST_ROWS
        """No page has more rows than this, however many are asked for."""
        self.empty_pages = False
        """Whether every second page of a listing or log is empty, and not the last."""
        self.incomplete = False
        """Whether searches say that they did not look everywhere."""
        self.export_bytes = 10_000_000
        """Exports of more than this are refused."""
        self.background_bytes = 1_000_000_000
        """Exports of more than this fail in the background as well."""
        self.looks = 1
        """How often an operation is looked at before it is done."""
        self.repeat_changes = False
        """Whether logs tell every change of a file, and in another order, instead of its last one."""
        self._tokens: dict[str, list[str]] = {}
        self._operations: dict[str, list[Any]] = {}
        self._numbers = itertools.count(1)

    def expire_page_tokens(self) -> None:
        """Make every page token of a listing a bad one."""
        self._tokens.clear()

    def list_files(self, asked: Query) -> Answer:
        """files.list."""
        _check_drives_are_wanted(asked)
        drive_id = asked.get("driveId")
        if (asked.get("corpora") == "drive") != (drive_id is not None):
            raise Refused(400, "invalid", "corpora and driveId do not fit.", "corpora")
        if drive_id is not None and drive_id not in self.files.drives:
            raise Refused(404, "notFound", f"Shared drive not found: {drive_id}.", "driveId")
        token = asked.get("pageToken")
        if token is None:
            waiting = self._search(asked.get("q", ""), drive_id)
        elif token in self._tokens:
            waiting = list(self._tokens[token])
        else:
            raise Refused(400, "invalid", "Invalid Value", "pageToken")
        rows = self._rows(asked)
        if self.empty_pages and not (token or "").startswith("~e"):
            body: dict[str, Any] = {"files": [], "nextPageToken": self._token("~e", waiting)}
        else:
            known = [self.files.files[one] for one in waiting[:rows] if one in self.files.files]
            body = {"files": [self.files.resource(one) for one in known]}
            if waiting[rows:]:
                body["nextPageToken"] = self._token("~f", waiting[rows:])
        body["incompleteSearch"] = self.incomplete
        return Answer(200, self._masked(body, asked))

    def get_file(self, file_id: str, asked: Query, keys: str) -> Answer:
        """files.get without the bytes."""
        return Answer(200, self._masked(self.files.resource(self.file(file_id, keys)), asked, _DEFAULT))

    def media(self, file_id: str, keys: str, byte_range: str | None) -> Answer:
        """files.get with alt=media."""
        file = self.file(file_id, keys)
        if not file.can_download:
            raise Refused(403, "cannotDownloadFile")
        if file.mime_type.startswith(GOOGLE):
            raise Refused(403, "fileNotDownloadable", "Only files with binary content can be downloaded.", "alt")
        if byte_range is None:
            return Answer(200, file.content)
        first = int(byte_range.removeprefix("bytes=").split("-")[0])
        if first >= len(file.content):
            return Answer(416, b"", {"Content-Range": f"bytes */{len(file.content)}"})
        end = len(file.content)
        return Answer(206, file.content[first:], {"Content-Range": f"bytes {first}-{end - 1}/{end}"})

    def export(self, file_id: str, asked: Query, keys: str) -> Answer:
        """files.export."""
        file = self._document(file_id, keys)
        if len(file.content) > self.export_bytes:
            raise Refused(403, "exportSizeLimitExceeded", "This file is too large to be exported.")
        return Answer(200, exported(file, asked.get("mimeType", "")))

    def download(self, file_id: str, asked: Query, keys: str) -> Answer:
        """files.download: begins an operation."""
        file = self._document(file_id, keys)
        name = f"operation-{next(self._numbers)}"
        self._operations[name] = [self.looks, file.file_id, asked.get("mimeType", "")]
        return Answer(200, {"name": name})

    def operation(self, name: str) -> Answer:
        """operations.get: the operation is done after some looks at it."""
        if name not in self._operations:
            raise Refused(404, "notFound")
        state = self._operations[name]
        state[0] -= 1
        if state[0] > 0:
            return Answer(200, {"name": name})
        if len(self.files.files[state[1]].content) > self.background_bytes:
            return Answer(200, {"name": name, "done": True, "error": {"code": 3, "message": "Too large."}})
        response = {"downloadUri": f"{self.address}/exported/{name}", "partialDownloadAllowed": False}
        return Answer(200, {"name": name, "done": True, "response": response})

    def exported_bytes(self, name: str) -> Answer:
        """Return what an operation made."""
        _, file_id, mime_type = self._operations[name]
        return Answer(200, exported(self.files.files[file_id], mime_type))

    def start_token(self, asked: Query) -> Answer:
        """changes.getStartPageToken."""
        self._check_member(asked)
        return Answer(200, {"startPageToken": str(len(self.files.log) + 1)})

    def list_changes(self, asked: Query) -> Answer:
        """changes.list: a token is a number in the log, and never expires."""
        self._check_member(asked)
        _check_drives_are_wanted(asked)
        token = asked.get("pageToken", "")
        if not token.rstrip("e").isdigit() or not 0 < int(token.rstrip("e")) <= len(self.files.log) + 1:
            raise Refused(400, "invalid", "Invalid Value", "pageToken")
        at = int(token.rstrip("e"))
        if self.empty_pages and not token.endswith("e"):
            return Answer(200, self._masked({"changes": [], "nextPageToken": f"{at}e"}, asked))
        log = [(number, entry) for number, entry in enumerate(self.files.log, 1) if entry[0] == asked.get("driveId")]
        if not self.repeat_changes:
            last = {entry: number for number, entry in log}
            log = [(number, entry) for number, entry in log if last[entry] == number]
        log = [(number, entry) for number, entry in log if number >= at]
        told, rest = log[: self._rows(asked)], log[self._rows(asked) :]
        if self.repeat_changes:
            told.reverse()
        body: dict[str, Any] = {"changes": [self._change(kind, one) for _, (_, kind, one) in told]}
        if rest:
            body["nextPageToken"] = str(rest[0][0])
        else:
            body["newStartPageToken"] = str(len(self.files.log) + 1)
        return Answer(200, self._masked(body, asked))

    def get_drive(self, drive_id: str, asked: Query) -> Answer:
        """drives.get."""
        if drive_id not in self.files.drives:
            raise Refused(404, "notFound", f"Shared drive not found: {drive_id}", "driveId")
        return Answer(200, self._masked({"id": drive_id, "name": self.files.drives[drive_id]}, asked))

    def file(self, file_id: str, keys: str) -> SimulatedFile:
        """Return a file that the account may see, given the keys of the request."""
        file = self.files.seen(file_id)
        if file is None or (file.resource_key and f"{file.file_id}/{file.resource_key}" not in keys.split(",")):
            raise Refused(404, "notFound", f"File not found: {file_id}.", "fileId")
        return file

    def _document(self, file_id: str, keys: str) -> SimulatedFile:
        file = self.file(file_id, keys)
        if not file.mime_type.startswith(GOOGLE):
            raise Refused(403, "fileNotExportable", "Export only supports Docs Editors files.")
        return file

    def _search(self, text: str, drive_id: str | None) -> list[str]:
        try:
            test = query(text)
        except NotUnderstood:
            raise Refused(400, "invalid", "Invalid Value", "q") from None
        below_named = "in parents" in text
        return [
            file.file_id
            for file in self.files.of_corpus(drive_id)
            if (below_named or self._is_listed(file)) and test(self.files.resource(file))
        ]

    def _is_listed(self, file: SimulatedFile) -> bool:
        """Of a drive that the account is no member of, only what is shared itself is in its own corpus."""
        return file.listed and (file.drive_id is None or file.drive_id in self.files.drives or file.shared)

    def _change(self, kind: str, changed: str) -> dict[str, Any]:
        if kind == "drive":
            return {"changeType": "drive", "driveId": changed, "removed": changed not in self.files.drives}
        file = self.files.seen(changed)
        if file is None:
            return {"changeType": "file", "fileId": changed, "removed": True}
        return {"changeType": "file", "fileId": changed, "removed": False, "file": self.files.resource(file)}

    def _check_member(self, asked: Query) -> None:
        drive_id = asked.get("driveId")
        if drive_id is not None and drive_id not in self.files.drives:
            raise Refused(404, "notFound", f"Shared drive not found: {drive_id}", "driveId")

    def _rows(self, asked: Query) -> int:
        wanted = asked.get("pageSize", "100")
        if not wanted.isdigit():
            raise Refused(400, "badRequest", "Invalid value at 'page_size' (TYPE_INT32)", "pageSize")
        return min(int(wanted), self.page_rows, _MOST_ROWS)

    def _token(self, form: str, waiting: list[str]) -> str:
        token = f"{form}{next(self._numbers)}"
        self._tokens[token] = waiting
        return token

    def _masked(self, body: dict[str, Any], asked: Query, default: str = "*") -> Any:
        try:
            return masked(body, mask(asked.get("fields", default)))
        except NotUnderstood:
            raise Refused(400, "invalidParameter", "Invalid field selection", "fields") from None


def exported(file: SimulatedFile, mime_type: str) -> bytes:
    """Return what a document's export is made of: the wanted type, and the content."""
    return mime_type.encode() + b"\n" + file.content


def _check_drives_are_wanted(asked: Query) -> None:
    if asked.get("includeItemsFromAllDrives") == "true" and asked.get("supportsAllDrives") != "true":
        raise Refused(403, "supportsTeamDrivesRequired", "The supportsAllDrives parameter must be true.")
