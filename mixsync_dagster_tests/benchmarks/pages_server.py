"""Drive's and Graph's listings and logs of changes on loopback: every answer is made before the first question.

`python -m mixsync_dagster_tests.benchmarks.pages_server FILES` prints its port and serves until its input ends. It is
as little of a server as can be (a thread a connection, answers by parts of the target), so that it is faster than every
client that reads from it; `bytes alone` of the benchmark says how fast.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import md5, sha256
from typing import Any

DRIVE_ROWS = 1000
"""Files of a page of Drive: its most, which we ask for."""
GRAPH_ROWS = 200
"""Entries of a page of Graph, which nobody asks for: 200 is what the service sends."""
FOLDERS = 20
LIBRARY = "b!benchmark"
FOLDER_TYPE = "application/vnd.google-apps.folder"
TIME = "2026-01-01T00:00:00.000Z"

_TOKEN = re.compile(rb"(?:pageToken|skiptoken|token)=([\w-]*)")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_END = b"\r\n\r\n"


def drive_file(number: int) -> dict[str, Any]:
    """Return a file as Drive tells it, with the fields that our provider asks for."""
    content = str(number).encode()
    return {
        "id": f"1A{number:031d}",
        "name": f"file {number:07d}.pdf",
        "mimeType": "application/pdf",
        "parents": [f"folder-{number % FOLDERS}"],
        "version": "7",
        "createdTime": TIME,
        "modifiedTime": TIME,
        "trashed": False,
        "starred": False,
        "webViewLink": f"https://drive.google.com/file/d/1A{number:031d}/view",
        "size": str(1000 + number),
        "md5Checksum": md5(content, usedforsecurity=False).hexdigest(),
        "sha256Checksum": sha256(content).hexdigest(),
        "headRevisionId": f"0B{number:050d}",
        "capabilities": {"canDownload": True},
    }


def graph_entry(number: int) -> dict[str, Any]:
    """Return a file as a delta of Graph tells it."""
    return {
        "id": f"01{number:032d}",
        "name": f"file {number:07d}.pdf",
        "size": 1000 + number,
        "eTag": f'"{{{number:032d}}},2"',
        "lastModifiedDateTime": "2026-01-01T00:00:00Z",
        "parentReference": {"driveId": LIBRARY, "driveType": "documentLibrary", "id": f"folder-{number % FOLDERS}"},
        "file": {"mimeType": "application/pdf", "hashes": {"quickXorHash": f"{number:027d}="}},
    }


def _graph_folder(number: int) -> dict[str, Any]:
    return {
        "id": f"folder-{number}",
        "name": f"folder {number}",
        "folder": {"childCount": 1},
        "parentReference": {"driveId": LIBRARY, "id": "root-id", "path": f"/drives/{LIBRARY}/root:"},
    }


def _cut(count: int, size: int) -> list[range]:
    return [range(first, min(first + size, count)) for first in range(0, count, size)] or [range(0)]


class Answers:
    """Whole answers, head and body, by what is asked for."""

    def __init__(self, files: int, address: str) -> None:
        self._address = address
        folders = [{"id": f"folder-{n}", "name": f"folder {n}", "mimeType": FOLDER_TYPE} for n in range(FOLDERS)]
        root = {"id": "root-id", "name": "My Drive", "mimeType": FOLDER_TYPE}
        self._single: Mapping[bytes, bytes] = {
            b"/drive/v3/files/root": _whole(root),
            b"/drive/v3/changes/startPageToken": _whole({"startPageToken": "0"}),
            b"/token": _whole({"access_token": "of-no-value", "expires_in": 3600, "token_type": "Bearer"}),
            f"/v1.0/drives/{LIBRARY}".encode(): _whole({"id": LIBRARY, "name": "Documents", "webUrl": address}),
            b"/v1.0/drives/b%21benchmark": _whole({"id": LIBRARY, "name": "Documents", "webUrl": address}),
        }
        self._folders = _whole({"files": [{**one, "parents": ["root-id"]} for one in folders]})
        self._graph_folders = {f"folder-{n}".encode(): _whole(_graph_folder(n)) for n in range(FOLDERS)}
        self._drive_files = self._drive(files, "files", drive_file, "nextPageToken", None)
        self._drive_changes = self._drive(
            files,
            "changes",
            lambda n: {"changeType": "file", "removed": False, "fileId": drive_file(n)["id"], "file": drive_file(n)},
            "nextPageToken",
            {"newStartPageToken": "end"},
        )
        self._graph_files = self._graph(files, "", [{"id": "root-id", "name": "root", "root": {}, "folder": {}}])
        self._graph_changes = self._graph(files, "c-", [])
        self._graph_latest = _whole({"value": [], "@odata.deltaLink": self._link("token=c-0")})

    def of(self, target: bytes) -> bytes:
        """Return the answer to a request."""
        path, _, query = target.partition(b"?")
        found = self._single.get(path) or self._graph_folders.get(path.rpartition(b"/")[2])
        if found is None:
            found = self._sign_in(path) or self._page(path, query)
        return found or _whole({"error": {"code": "itemNotFound"}}, 404)

    def _page(self, path: bytes, query: bytes) -> bytes | None:
        told = _TOKEN.search(query)
        token = told[1] if told else b""
        pages: list[bytes] | None = None
        if path == b"/drive/v3/files":
            # What is asked about folders is answered at once: they fit into one page.
            pages = self._drive_files if b"%21%3D" in query or b"!=" in query else [self._folders]
        elif path == b"/drive/v3/changes":
            pages = self._drive_changes
        elif path.endswith(b"/delta"):
            pages = self._graph_changes if token.startswith(b"c-") else self._graph_files
            if token == b"latest":
                return self._graph_latest
        return None if pages is None else pages[int(token.removeprefix(b"c-") or 0)]

    def _sign_in(self, path: bytes) -> bytes | None:
        if path.endswith(b"/oauth2/v2.0/token"):
            return self._single[b"/token"]
        if not path.endswith(b"/.well-known/openid-configuration"):
            return None
        token = f"https://{self._address.removeprefix('http://')}/{path.split(b'/')[1].decode()}/oauth2/v2.0/token"
        return _whole(dict.fromkeys(("authorization_endpoint", "token_endpoint", "issuer"), token))

    def _drive(self, files: int, name: str, made: Any, more: str, last: Mapping[str, str] | None) -> list[bytes]:
        pages = _cut(files, DRIVE_ROWS)
        ends = [{more: str(number)} for number in range(1, len(pages))] + [dict(last or {})]
        return [_whole({name: [made(n) for n in page], **end}) for page, end in zip(pages, ends, strict=True)]

    def _graph(self, files: int, mark: str, first: list[dict[str, Any]]) -> list[bytes]:
        pages = _cut(files, GRAPH_ROWS)
        head = first + ([_graph_folder(n) for n in range(FOLDERS)] if first else [])
        ends = [{"@odata.nextLink": self._link(f"$skiptoken={mark}{n}")} for n in range(1, len(pages))]
        ends.append({"@odata.deltaLink": self._link("token=c-end")})
        made = [[graph_entry(n) for n in page] for page in pages]
        made[0] = head + made[0]
        return [_whole({"value": page, **end}) for page, end in zip(made, ends, strict=True)]

    def _link(self, query: str) -> str:
        return f"{self._address}/v1.0/drives/{LIBRARY}/root/delta?{query}"


def _whole(body: Mapping[str, Any], status: int = 200) -> bytes:
    data = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} Told\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data


def _serve(connection: socket.socket, answers: Answers) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    held = b""
    with connection:
        while True:
            while _END not in held:
                piece = connection.recv(65536)
                if not piece:
                    return
                held += piece
            head, _, held = held.partition(_END)
            length = _LENGTH.search(head)
            while length is not None and len(held) < int(length[1]):
                held += connection.recv(65536)
            if length is not None:
                held = held[int(length[1]) :]
            connection.sendall(answers.of(head.split(b" ", 2)[1]))


@contextmanager
def serving(files: int) -> Iterator[int]:
    """Yield the port of a server of so many files in a process of its own."""
    command = [sys.executable, "-m", "mixsync_dagster_tests.benchmarks.pages_server", str(files)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        if process.stdout is None or not (line := process.stdout.readline()).strip():
            raise RuntimeError("the server of pages did not start")
        yield int(line)
    finally:
        process.communicate()


def main(arguments: Sequence[str]) -> int:
    """Serve until the input ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        port = listening.getsockname()[1]
        answers = Answers(int(arguments[0]), f"http://127.0.0.1:{port}")

        def accept() -> None:
            while True:
                connection, _ = listening.accept()
                threading.Thread(target=_serve, args=(connection, answers), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
