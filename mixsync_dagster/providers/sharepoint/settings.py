"""Everything that the SharePoint provider has to know, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.transport.addresses import AddressPolicy
from mixsync_dagster.transport.origins import Origin

GRAPH_HOSTS = frozenset(
    {
        "graph.microsoft.com",
        "graph.microsoft.us",
        "dod-graph.microsoft.us",
        "microsoftgraph.chinacloudapi.cn",
    }
)
"""Graph's own hosts, which are also the names of the resource that tokens are asked for."""


@dataclass(frozen=True, slots=True)
class SharePointSettings:
    """A document library, or a folder of it, and the credentials to read it; secrets are left out of `repr`."""

    tenant_id: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    """None: a certificate proves who the application is."""
    certificate: str | None = None
    """PEM certificate."""
    private_key: str | None = field(default=None, repr=False)
    """PEM private key of the certificate."""
    private_key_passphrase: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    """None: the application acts as itself."""
    site_id: str | None = None
    """`host,guid,guid`, a site's URL, or `root`."""
    drive_id: str | None = None
    source_site: str | None = None
    """Server-relative path of the site that the source path names; it wins over `site_id` and `drive_id`."""
    library: str | None = None
    """Display name of a library of `source_site`, or its name in addresses; None: the default one."""
    folders: tuple[str, ...] = ()
    """Names from the library's root down."""
    graph_endpoint: str = "https://graph.microsoft.com/v1.0"
    authority_host: str = "https://login.microsoftonline.com"
    verify: bool | str = True
    """A path names the bundle of trusted certificates."""
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 60.0
    """Longest silence on an open connection."""
    addresses: AddressPolicy | None = None
    """Where connections may go; None: anywhere."""
    max_connections: int = 256
    """Connections kept open per host."""
    connection_id: str | None = None
    """Whose token it is; None: a connection that is not stored."""

    @property
    def delegated(self) -> bool:
        """Whether the application acts for a user."""
        return self.refresh_token is not None

    @property
    def graph(self) -> Origin:
        """Where Graph is. Raises ConfigurationError."""
        return _required("graph_endpoint", self.graph_endpoint)

    @property
    def sign_in(self) -> Origin:
        """Where tokens are fetched. Raises ConfigurationError, also for an address with a path."""
        if urlsplit(self.authority_host).path.strip("/"):
            raise ConfigurationError(
                f"authority_host: {self.authority_host} is not accepted; give the address of the sign-in service "
                "without a path, the tenant is added to it."
            )
        return _required("authority_host", self.authority_host)

    @property
    def token_scope(self) -> str:
        """The scope of tokens: everything that was granted to the application at Graph."""
        host = self.graph.host
        return f"https://{host if host in GRAPH_HOSTS else 'graph.microsoft.com'}/.default"


def _required(name: str, url: str) -> Origin:
    origin = Origin.of(url)
    if origin is None:
        raise ConfigurationError(f"{name}: {url} is not accepted; give an https URL.")
    return origin
