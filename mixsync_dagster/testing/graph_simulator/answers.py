"""What Graph answers, by kind of request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from mixsync_dagster.testing.graph_simulator.drives import DriveEntry, SimulatedDrive, as_item

if TYPE_CHECKING:
    from mixsync_dagster.testing.graph_simulator.simulator import GraphSimulator, SimulatedSite

_READING = frozenset(
    {"Sites.Read.All", "Files.Read.All", "Sites.ReadWrite.All", "Files.ReadWrite.All", "Sites.Selected"}
)


@dataclass(frozen=True)
class Answer:
    """Status, body and headers; the length is added when it is sent."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A request, taken apart."""

    graph: GraphSimulator
    path: str
    """Below /v1.0, decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def origin(self) -> str:
        """Where the client found the simulator: links lead back there, also through a proxy."""
        return f"{self.graph.scheme}://{self.headers['host']}"


def answer(graph: GraphSimulator, kind: str, target: str, headers: Mapping[str, str], body: str) -> Answer:
    """Return the answer to a request."""
    parts = urlsplit(target)
    path = unquote(parts.path)
    if kind == "discovery":
        return _json(*graph.sign_in.discovery(path.split("/")[1], headers["host"]))
    if kind == "token":
        return _json(*graph.sign_in.token(body))
    query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
    asked = Asked(graph, path.removeprefix("/v1.0"), query, headers)
    if kind == "download":
        return _download(asked)
    if not graph.sign_in.admits(headers.get("authorization")):
        return refusal(401, "InvalidAuthenticationToken")
    if not _READING & set(graph.sign_in.roles):
        return refusal(403, "accessDenied")
    served = _SERVED.get(kind)
    return served(asked) if served is not None else refusal(400, "invalidRequest")


def refusal(status: int, code: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Return an error in Graph's form."""
    return _json(status, {"error": {"code": code, "message": "simulated", "innerError": {"date": "2026"}}}, headers)


def _json(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(body).encode(), {"Content-Type": "application/json", **(headers or {})})


def _site_of(asked: Asked) -> SimulatedSite | None:
    text = asked.path.removeprefix("/sites/").removesuffix("/drives").removesuffix("/drive")
    host, colon, path = text.partition(":/")
    for site in asked.graph.sites:
        by_path = colon and site.host == host and site.path.casefold() == path.strip(":").casefold()
        if by_path or text == site.id or (text in ("root", site.host) and not site.path):
            return site
    return None


def _site(asked: Asked) -> Answer:
    site = _site_of(asked)
    if site is None:
        return refusal(404, "itemNotFound")
    if site.path in asked.graph.locked_sites:
        return refusal(403, "accessDenied")
    url = f"https://{site.host}/{site.path}".rstrip("/")
    return _json(200, {"id": site.id, "webUrl": url, "siteCollection": {"hostname": site.host}})


def _drive(asked: Asked) -> Answer:
    if asked.path == "/me/drive":
        if not asked.graph.sign_in.delegated(asked.headers.get("authorization")):
            return refusal(400, "BadRequest")
        return _json(200, _drive_body(asked.graph.onedrive))
    if asked.path.startswith("/drives/"):
        drive = asked.graph.drives.get(asked.path.split("/")[2])
        return _json(200, _drive_body(drive)) if drive is not None else refusal(404, "itemNotFound")
    site = _site_of(asked)
    return _json(200, _drive_body(site.drives[0])) if site is not None else refusal(404, "itemNotFound")


def _drives(asked: Asked) -> Answer:
    site = _site_of(asked)
    if site is None:
        return refusal(404, "itemNotFound")
    start, most = int(asked.query.get("$skiptoken", "0")), 2
    body: dict[str, Any] = {"value": [_drive_body(drive) for drive in site.drives[start : start + most]]}
    if start + most < len(site.drives):
        body["@odata.nextLink"] = f"{asked.origin}/v1.0{quote(asked.path)}?$skiptoken={start + most}"
    return _json(200, body)


def _drive_body(drive: SimulatedDrive) -> dict[str, Any]:
    return {"id": drive.id, "name": drive.name, "webUrl": drive.web_url, "driveType": "documentLibrary"}


def _entry_of(asked: Asked) -> tuple[SimulatedDrive, DriveEntry] | None:
    match = re.match(
        r"/drives/([^/]+)/(?:items/([^/]+)|root(?::/(.*?):?)?)(?:/delta|/content)?$", asked.path, re.DOTALL
    )
    drive = asked.graph.drives.get(match[1]) if match else None
    if match is None or drive is None:
        return None
    with drive.lock:
        entry = drive.entries.get(match[2]) if match[2] else drive.find(match[3] or "")
    return (drive, entry) if entry is not None and not entry.deleted else None


def _item(asked: Asked) -> Answer:
    found = _entry_of(asked)
    if found is None:
        return refusal(404, "itemNotFound")
    drive, entry = found
    item = as_item(drive, entry, in_delta=False)
    if "listItem" in asked.query.get("$expand", ""):
        item["listItem"] = {"id": str(entry.number), "fields": {"@odata.etag": entry.etag, **entry.columns}}
    if entry.kind == "file" and "$select" not in asked.query and asked.graph.faults.download_urls:
        item["@microsoft.graph.downloadUrl"] = _download_url(asked, drive, entry)
    return _json(200, item)


def _content(asked: Asked) -> Answer:
    found = _entry_of(asked)
    if found is None:
        return refusal(404, "itemNotFound")
    return Answer(302, b"", {"Location": _download_url(asked, *found)})


def _download_url(asked: Asked, drive: SimulatedDrive, entry: DriveEntry) -> str:
    origin = asked.graph.faults.download_host or asked.origin
    return f"{origin}/download/{quote(drive.id)}/{entry.id}?tempauth=v1.{asked.graph.download_generation}.secret"


def _download(asked: Asked) -> Answer:
    _, _, drive_id, item_id = asked.path.split("/")
    entry = asked.graph.drives[drive_id].entries.get(item_id)
    current = asked.query.get("tempauth") == f"v1.{asked.graph.download_generation}.secret"
    if "authorization" in asked.headers or not current:
        # The real service refuses a request that carries both an address's own right and a token.
        return refusal(401, "unauthenticated")
    if entry is None or entry.deleted:
        return refusal(404, "itemNotFound")
    content = entry.told.get("bytes", entry.content)
    asked_range = re.fullmatch(r"bytes=(\d+)-", asked.headers.get("range", ""))
    if asked_range is None or not asked.graph.faults.ranges:
        return Answer(200, content, {"Content-Type": "application/octet-stream"})
    start = int(asked_range[1])
    if start >= len(content):
        return Answer(416, b"", {"Content-Range": f"bytes */{len(content)}"})
    told = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
    return Answer(206, content[start:], told)


def _delta(asked: Asked) -> Answer:
    found = _entry_of(asked)
    if found is None:
        return refusal(404, "itemNotFound")
    drive, below = found
    if below is not drive.root and not asked.graph.faults.folder_delta:
        return refusal(400, "notSupported")
    with drive.lock:
        return _delta_of(asked, drive, below, asked.query.get("token", ""))


def _delta_of(asked: Asked, drive: SimulatedDrive, below: DriveEntry, token: str) -> Answer:
    if token == "latest":  # noqa: S105 - a word of the protocol
        return _page(asked, [], None, f"d.{drive.sequence}")
    listing = re.fullmatch(r"c\.(\d+)\.(\d+)(\.e)?", token or f"c.{drive.sequence}.0")
    if listing:
        return _listing_page(asked, drive, below, int(listing[1]), int(listing[2]), fresh=not listing[3])
    changes = re.fullmatch(r"d\.(\d+)(\.e)?", token)
    if changes is None:
        return refusal(400, "invalidRequest")
    if int(changes[1]) < asked.graph.expired_before:
        return refusal(410, "resyncChangesApplyDifferences", {"Location": _link(asked, f"c.{drive.sequence}.0")})
    return _changes_page(asked, drive, below, int(changes[1]), fresh=not changes[2])


def _listing_page(
    asked: Asked, drive: SimulatedDrive, below: DriveEntry, since: int, after: int, *, fresh: bool
) -> Answer:
    if asked.graph.faults.empty_pages and fresh:
        return _page(asked, [], f"c.{since}.{after}.e", None)
    rest = drive.live(below, after, asked.graph.page_size + 1)
    told = rest[: asked.graph.page_size]
    more = len(rest) > len(told)
    if asked.graph.faults.repeated_entries and after:
        before = [one for one in drive.live(below, 0) if one.number <= after]
        told = before[-1:] + told + told[:1]
    items = [as_item(drive, one, in_delta=True) for one in told]
    last = f"c.{since}.{rest[asked.graph.page_size - 1].number}" if more else None
    return _page(asked, items, last, None if more else f"d.{since}")


def _changes_page(asked: Asked, drive: SimulatedDrive, below: DriveEntry, after: int, *, fresh: bool) -> Answer:
    rest = drive.changed(below, after)
    if asked.graph.faults.empty_pages and fresh and rest:
        return _page(asked, [], f"d.{after}.e", None)
    told = rest[: asked.graph.page_size]
    more = len(rest) > len(told)
    entries: list[DriveEntry] = [drive.root]
    for one in told:
        if not (asked.graph.faults.changes_only and "deltaexcludeparent" in asked.headers.get("prefer", "").lower()):
            entries += [above for above in one.ancestors if above not in entries and not above.deleted]
        entries.append(one)
    if asked.graph.faults.repeated_entries and told:
        entries.append(told[0])
    items = [as_item(drive, one, in_delta=True) for one in entries]
    last = told[-1].changed if told else drive.sequence
    return _page(asked, items, f"d.{last}" if more else None, None if more else f"d.{drive.sequence}")


def _page(asked: Asked, items: list[dict[str, Any]], next_token: str | None, delta_token: str | None) -> Answer:
    if asked.graph.faults.reversed_pages:
        items.reverse()
    body: dict[str, Any] = {"@odata.context": "simulated", "value": items}
    if next_token is not None:
        body["@odata.nextLink"] = _link(asked, next_token)
    else:
        body["@odata.deltaLink"] = _link(asked, delta_token or "")
    return _json(200, body)


def _link(asked: Asked, token: str) -> str:
    selected = quote(asked.query.get("$select", ""))
    origin = asked.graph.faults.link_host or asked.origin
    return f"{origin}/v1.0{quote(asked.path)}?$select={selected}&token={token}"


_SERVED: Mapping[str, Callable[[Asked], Answer]] = {
    "site": _site,
    "drive": _drive,
    "drives": _drives,
    "item": _item,
    "columns": _item,
    "content": _content,
    "delta": _delta,
}
