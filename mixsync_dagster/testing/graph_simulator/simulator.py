"""The running simulator: its libraries, its log of requests, and the server that it listens by."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from mixsync_dagster.testing.graph_simulator import sign_in
from mixsync_dagster.testing.graph_simulator.drives import SimulatedDrive
from mixsync_dagster.testing.graph_simulator.faults import GraphFaults
from mixsync_dagster.testing.graph_simulator.server import SimulatorServer

HOSTNAME = "contoso.sharepoint.com"


@dataclass(frozen=True)
class LoggedRequest:
    """One request as it came."""

    kind: str
    method: str
    target: str
    """Path and query, percent-encoded."""
    headers: Mapping[str, str]
    """By lower-case names."""


@dataclass
class SimulatedSite:
    """A site and its libraries, the first of which is the default."""

    id: str
    path: str
    """Server-relative, e.g. sites/Legal; empty for the tenant's root site."""
    host: str
    drives: list[SimulatedDrive]


class GraphSimulator:
    """Listens on a free port of loopback from its making until `close()` or the end of its `with`."""

    def __init__(self, *, page_size: int = 200, tls: ssl.SSLContext | None = None) -> None:
        self.page_size = page_size
        """Most entries of a delta's page."""
        self.sign_in = sign_in.SignIn()
        self.faults = GraphFaults()
        self.requests: list[LoggedRequest] = []
        self.expired_before = 0
        """Positions of feeds before this number of a library's log are answered 410."""
        self.download_generation = 0
        """Addresses of bytes made before it grew are refused."""
        self.locked_sites: set[str] = set()
        """Paths of sites that are answered 403, as with Sites.Selected and no grant."""
        self.sites: list[SimulatedSite] = []
        self._lock = threading.Lock()
        self.default_library = self.add_library("", "Documents", address="Shared Documents")
        self.onedrive = SimulatedDrive(
            "b!onedrive-of-user", "OneDrive", "https://contoso-my.sharepoint.com/personal/user_contoso_com/Documents"
        )
        self.scheme = "http" if tls is None else "https"
        self._server = SimulatorServer(self, tls)

    def add_library(self, site: str, name: str, *, address: str | None = None, host: str = HOSTNAME) -> SimulatedDrive:
        """Return a new library of a site, which is made if need be; `address` is its name in addresses."""
        found = next((one for one in self.sites if one.path == site and one.host == host), None)
        if found is None:
            number = len(self.sites) + 1
            found = SimulatedSite(f"{host},0000-{number},1111-{number}", site, host, [])
            self.sites.append(found)
        place = f"https://{host}/{site}/" if site else f"https://{host}/"
        drive_id = f"b!{len(self.sites):02d}-{len(found.drives):02d}_simulated"
        drive = SimulatedDrive(drive_id, name, place + (address or name).replace(" ", "%20"))
        found.drives.append(drive)
        return drive

    @property
    def drives(self) -> dict[str, SimulatedDrive]:
        """All libraries by id."""
        every = [drive for site in self.sites for drive in site.drives]
        return {drive.id: drive for drive in [*every, self.onedrive]}

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{self.scheme}://127.0.0.1:{self._server.server_port}"

    @property
    def graph_endpoint(self) -> str:
        """What a connection's field of this name is set to."""
        return f"{self.url}/v1.0"

    @property
    def authority_host(self) -> str:
        """What a connection's field of this name is set to."""
        return self.url

    @staticmethod
    def credentials(*, delegated: bool = False) -> dict[str, str]:
        """Return credentials that are accepted: the application's own, or those by which it acts for a user."""
        own = {"tenant_id": sign_in.TENANT, "client_id": sign_in.CLIENT_ID, "client_secret": sign_in.CLIENT_SECRET}
        if delegated:
            return {"type": "delegated", **own, "refresh_token": sign_in.REFRESH_TOKEN}
        return {"type": "client_credentials", **own}

    def provider_config(self, *, delegated: bool = False, **settings: Any) -> dict[str, Any]:
        """Return the provider_config of a connection to this simulator."""
        place = {"graph_endpoint": self.graph_endpoint, "authority_host": self.authority_host}
        return {
            "provider_type": "sharepoint",
            **place,
            **settings,
            "credentials": self.credentials(delegated=delegated),
        }

    def count(self, *kinds: str) -> int:
        """Return how many requests of these kinds came; of all kinds when none is given."""
        with self._lock:
            return sum(1 for one in self.requests if not kinds or one.kind in kinds)

    def forget_requests(self) -> None:
        """Start counting anew."""
        with self._lock:
            self.requests.clear()

    def note(self, request: LoggedRequest) -> None:
        """Log a request."""
        with self._lock:
            self.requests.append(request)

    def end_download_addresses(self) -> None:
        """Refuse every address of bytes that was handed out so far."""
        with self._lock:
            self.download_generation += 1

    def close(self) -> None:
        """Stop listening. Twice is harmless."""
        self._server.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
