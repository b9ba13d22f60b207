"""Everything that the S3 provider has to know, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.providers.s3.dialects import Addressing, Dialect, dialect
from mixsync_dagster.transport.addresses import AddressPolicy

_DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Address:
    """Where requests of one bucket go."""

    scheme: str
    host: str
    """Name to connect to; with virtual addressing the bucket is its first part."""
    port: int
    path: str
    """Put before the key, ends in "/"."""

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's own, port."""
        return self.host if self.port == _DEFAULT_PORTS[self.scheme] else f"{self.host}:{self.port}"

    @property
    def base_url(self) -> str:
        """Scheme and authority."""
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True)
class S3Settings:
    """One bucket, or a part of it, and the credentials to read it; secrets are left out of `repr`."""

    container: str
    """The bucket."""
    prefix: str = ""
    """Folder, or key of one object; empty for the whole bucket."""
    narrowed_to: str = ""
    """Only keys that begin so, below the folder of the source path, are listed."""
    dialect: str = "aws"
    region: str = ""
    """Empty: the dialect's default."""
    endpoint_url: str | None = None
    """None: the dialect's own."""
    endpoint_id: str | None = None
    """First part of every source object id; None: `aws`, or the endpoint's host[:port]. Set it to the old value when an
    endpoint moves, so that its objects keep their identities."""
    use_ssl: bool = True
    verify: bool | str = True
    """False takes any certificate; a path names the bundle of trusted ones."""
    addressing_style: Literal["auto", "path", "virtual"] = "auto"
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    role_arn: str | None = None
    """A role to assume; with it, static keys may be absent (the machine's own identity assumes the role)."""
    external_id: str | None = field(default=None, repr=False)
    sts_endpoint_url: str | None = None
    """None: AWS's own of the region."""
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 60.0
    """Longest silence on an open connection."""
    query_overlap_seconds: float = 600.0
    """How far behind a pass's beginning the next one looks again, where the dialect filters listings by time."""
    page_keys: int = 1000
    """Keys asked for per listing request; 1000 is the protocol's most."""
    addresses: AddressPolicy | None = None
    """Where connections may go; None: anywhere."""
    max_connections: int = 256
    """Connections kept open."""
    connection_id: str | None = None
    """Whose the keys of an assumed role are; None: a connection that is not stored."""

    @property
    def row(self) -> Dialect:
        """The dialect's row. Raises ConfigurationError for an unknown name."""
        return dialect(self.dialect)

    @property
    def effective_region(self) -> str:
        """The region that requests are signed for."""
        return self.region or self.row.default_region

    @property
    def endpoint(self) -> str:
        """The endpoint without a bucket. Raises ConfigurationError when neither connection nor dialect gives one."""
        if self.endpoint_url is not None:
            return self.endpoint_url.rstrip("/")
        row = self.row
        if row.default_endpoint is None:
            raise ConfigurationError(f"endpoint_url: nothing is given; dialect {row.name} needs the service's URL.")
        url = row.default_endpoint.format(region=self.effective_region)
        return url if self.use_ssl else "http" + url.removeprefix("https")

    @property
    def identity(self) -> str:
        """First part of source object ids; holds no "/"."""
        if self.endpoint_id:
            return self.endpoint_id
        parts = urlsplit(self.endpoint)
        if self.row.name == "aws" and (parts.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
            return "aws"
        if parts.hostname in self.row.same_hosts and parts.port in (None, _DEFAULT_PORTS["https"]):
            return str(urlsplit(self.row.default_endpoint or "").netloc)
        return parts.netloc.rpartition("@")[2].lower()

    @property
    def addressing(self) -> Addressing:
        """Where the bucket stands in an address."""
        if self.addressing_style != "auto":
            return self.addressing_style
        if self.row.name == "aws" and (self.endpoint_url is not None or (self.use_ssl and "." in self.container)):
            # Private links and stand-ins of AWS have no host per bucket, and AWS's certificate covers one label only.
            return "path"
        return self.row.addressing

    @property
    def address(self) -> Address:
        """Where requests go. Raises ConfigurationError when the endpoint is no http(s) URL."""
        parts = urlsplit(self.endpoint)
        if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
            raise ConfigurationError(f"endpoint_url: {self.endpoint} is not accepted; give an http or https URL.")
        port = parts.port or _DEFAULT_PORTS[parts.scheme]
        base = parts.path.rstrip("/")
        if self.addressing == "virtual":
            return Address(parts.scheme, f"{self.container}.{parts.hostname}", port, f"{base}/")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return Address(parts.scheme, host, port, f"{base}/{self.container}/")
