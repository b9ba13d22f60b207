"""Settings of the five providers: what a connection needs beside its credentials.

`...Settings` hold no credentials and are what is stored and shown; `...Config` are the same with credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from mixsync_dagster.model.base import Flag, Model, Text, WholeNumber, field_not_accepted, not_accepted
from mixsync_dagster.model.credentials import (
    GoogleDriveCredentials,
    GoogleDriveOAuthCredentials,
    S3Credentials,
    SharePointCredentials,
    SnowflakeCredentials,
    TigrisAccessKeyCredentials,
)
from mixsync_dagster.model.endpoints import EndpointUrl, ServiceUrl, is_loopback

Name = Annotated[str, Text(1, 255)]
Region = Annotated[
    str,
    Text(1, 63, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", accepted="1 to 63 letters, digits, hyphens and underscores"),
]
"""A part of host names."""
_ACCOUNT = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"
Account = Annotated[
    str, Text(1, 255, pattern=_ACCOUNT, accepted="1 to 255 letters, digits, dots, hyphens and underscores")
]
"""The beginning of a host name."""


class ProviderType(StrEnum):
    """The external storages that a connection can name."""

    GOOGLE_DRIVE = "google_drive"
    S3 = "s3"
    SNOWFLAKE = "snowflake"
    SHAREPOINT = "sharepoint"
    TIGRIS = "tigris"


class S3Dialect(StrEnum):
    """Whose S3 it is; the services differ in addressing, regions and listing details."""

    AWS = "aws"
    TIGRIS = "tigris"
    MINIO = "minio"
    R2 = "r2"
    WASABI = "wasabi"
    SPACES = "spaces"
    B2 = "b2"
    GENERIC = "generic"


class AddressingStyle(StrEnum):
    """Where the bucket stands in a request's address."""

    AUTO = "auto"
    """As the dialect prefers."""
    PATH = "path"
    """https://endpoint/bucket/key"""
    VIRTUAL = "virtual"
    """https://bucket.endpoint/key"""


class _TlsSettings(Model):
    """Whether requests are encrypted and certificates verified; both follow from the endpoint when not given."""

    use_ssl: Flag = Field(
        default=True,
        description="Whether requests are encrypted. When not given it follows the endpoint's scheme; false is "
        "accepted with a loopback endpoint only.",
    )
    verify_ssl: Flag = Field(
        default=True,
        description="Whether certificates are verified; only with use_ssl. Switch it off for self-signed certificates "
        "of a test server only.",
    )

    @model_validator(mode="before")
    @classmethod
    def _follow_endpoint(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        filled = dict(data)
        endpoint = filled.get("endpoint_url")
        if isinstance(endpoint, str) and endpoint.startswith("http://"):
            filled.setdefault("use_ssl", False)
        if filled.get("use_ssl") is False:
            filled.setdefault("verify_ssl", False)
        return filled

    def _check_tls(self, endpoint_url: str | None) -> None:
        scheme = urlsplit(endpoint_url).scheme if endpoint_url else "https"
        if self.use_ssl != (scheme == "https"):
            accepted = f"{str(not self.use_ssl).lower()}, for the endpoint is reached by {scheme}, or leave it out"
            raise field_not_accepted("use_ssl", self.use_ssl, accepted)
        if self.verify_ssl and not self.use_ssl:
            raise field_not_accepted("verify_ssl", self.verify_ssl, "it only together with use_ssl: true")


class S3Settings(_TlsSettings):
    """Amazon S3 and S3-compatible storage."""

    provider_type: Literal["s3"] = Field(default="s3", description="Always s3.")
    region: Region = Field(
        default="us-east-1",
        description="Region of the buckets; for services without regions leave the default.",
        examples=["us-east-1", "eu-west-1"],
    )
    endpoint_url: EndpointUrl | None = Field(
        default=None,
        description="Address of an S3-compatible service or of a private link, without a trailing slash; https, or "
        "plain http for loopback addresses. None: AWS by its region.",
        examples=["https://nyc3.digitaloceanspaces.com", "http://127.0.0.1:9000"],
    )
    dialect: S3Dialect = Field(
        default=S3Dialect.AWS,
        description="Whose S3 it is: aws, tigris, minio, r2, wasabi, spaces, b2 or generic. When not given: aws "
        "without endpoint_url, else generic.",
    )
    addressing_style: AddressingStyle = Field(
        default=AddressingStyle.AUTO,
        description="Where the bucket stands in an address: auto (as the dialect prefers), path or virtual.",
    )

    @model_validator(mode="before")
    @classmethod
    def _choose_dialect(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("endpoint_url") is not None and "dialect" not in data:
            return {**data, "dialect": S3Dialect.GENERIC.value}
        return data

    @model_validator(mode="after")
    def _check_s3(self) -> Self:
        if self.endpoint_url is None and self.dialect is not S3Dialect.AWS:
            accepted = f"the address of the service, for the dialect is {self.dialect}"
            raise field_not_accepted("endpoint_url", None, accepted)
        self._check_tls(self.endpoint_url)
        return self


class TigrisSettings(_TlsSettings):
    """Tigris, globally distributed storage that speaks S3."""

    provider_type: Literal["tigris"] = Field(default="tigris", description="Always tigris.")
    region: Region = Field(default="auto", description="Region; auto is right for nearly everybody.")
    endpoint_url: EndpointUrl = Field(
        default="https://fly.storage.tigris.dev",
        description="Address of the service, without a trailing slash; https, or plain http for loopback addresses.",
    )

    @model_validator(mode="after")
    def _check_tigris(self) -> Self:
        self._check_tls(self.endpoint_url)
        return self


class GoogleDriveSettings(Model):
    """Google Drive and Workspace shared drives."""

    provider_type: Literal["google_drive"] = Field(default="google_drive", description="Always google_drive.")
    shared_drive_id: Name | None = Field(
        default=None,
        description="Id of a shared drive (0A...). None: the account's My Drive.",
        examples=["0AH-Xabc123"],
    )
    impersonate_user: Name | None = Field(
        default=None,
        description="E-mail address of the user to act for, with a service account that has domain-wide delegation. "
        "None: the service account itself.",
    )
    api_endpoint: ServiceUrl = Field(
        default="https://www.googleapis.com/drive/v3/",
        description="Address of the Drive API; https, or plain http for loopback addresses.",
    )
    export_format: Literal["office", "pdf", "text"] = Field(
        default="office",
        description="What documents of Google's own editors are turned into: office (docx, xlsx, pptx), pdf, or text "
        "(txt, and csv of a spreadsheet's first sheet).",
    )
    follow_shortcuts: Flag = Field(
        default=True,
        description="Whether a shortcut in the source path makes the file or folder that it leads to part of it.",
    )


class SharePointSettings(Model):
    """SharePoint document libraries and OneDrive for Business."""

    provider_type: Literal["sharepoint"] = Field(default="sharepoint", description="Always sharepoint.")
    site_id: Name | None = Field(
        default=None,
        description="Site: host,guid,guid or the site's URL or root. None: the user's OneDrive.",
        examples=["root"],
    )
    drive_id: Name | None = Field(
        default=None, description="Document library (b!...). None: the site's default library."
    )
    folder_path: Annotated[str, Text(1, 4096)] | None = Field(
        default=None,
        description="Folder in the library, the leading slash is optional; a source path with a library wins over it. "
        "None: the library's root.",
        examples=["/Marketing/Assets"],
    )
    graph_endpoint: EndpointUrl = Field(
        default="https://graph.microsoft.com/v1.0",
        description="Address of Microsoft Graph, without a trailing slash; https, or plain http for loopback.",
    )
    authority_host: EndpointUrl = Field(
        default="https://login.microsoftonline.com",
        description="Address of the sign-in service, without a trailing slash; https, or plain http for loopback.",
    )


def _distinct(columns: tuple[str, ...]) -> tuple[str, ...]:
    if not columns or len(set(columns)) != len(columns):
        raise not_accepted("a list of at least one column, each named once")
    return columns


class SnowflakeSettings(Model):
    """A Snowflake warehouse; rows of a table become objects."""

    provider_type: Literal["snowflake"] = Field(default="snowflake", description="Always snowflake.")
    account: Account = Field(description="Account identifier.", examples=["xy12345.us-east-1", "myorg-analytics"])
    warehouse: Name = Field(description="Warehouse that runs the queries.", examples=["COMPUTE_WH"])
    database: Name | None = Field(
        default=None, description="Database of source paths that name none. None: they must name one."
    )
    schema_name: Name | None = Field(
        default=None, alias="schema", description="Schema of source paths that name none. None: they must name one."
    )
    role: Name | None = Field(default=None, description="Role of the session. None: the user's default role.")
    incremental_column: Name | None = Field(
        default=None,
        description="Column of time that grows with every change of a row; only newer rows are read. None: full scans.",
        examples=["updated_at"],
    )
    primary_key_columns: Annotated[tuple[Name, ...], AfterValidator(_distinct)] | None = Field(
        default=None,
        description="Columns that identify a row. None: a hash of the whole row, so that a changed row is a new one.",
        examples=[["id"]],
    )
    query_timeout_seconds: Annotated[int, WholeNumber(30, 3600, unit="seconds")] = Field(
        default=300, description="Longest run time of a query in seconds, 30 to 3600."
    )
    fetch_size: Annotated[int, WholeNumber(100, 10_000, unit="rows")] = Field(
        default=1000, description="Rows fetched in one go, 100 to 10000."
    )
    host: Name | None = Field(
        default=None, description="Host to connect to (private link, local server). None: the account's own."
    )
    port: Annotated[int, WholeNumber(1, 65_535)] | None = Field(
        default=None, description="Port to connect to, 1 to 65535. None: 443."
    )
    protocol: Literal["https", "http"] = Field(default="https", description="https, or http for a loopback host.")

    @model_validator(mode="after")
    def _check_protocol(self) -> Self:
        if self.protocol == "http" and not (self.host and is_loopback(self.host)):
            raise field_not_accepted(
                "protocol", self.protocol, "https: plain http is accepted for a loopback host only"
            )
        return self


class S3Config(S3Settings):
    """Settings and credentials of S3 or an S3-compatible service."""

    credentials: S3Credentials = Field(description="access_key, or iam_role on AWS.")


class TigrisConfig(TigrisSettings):
    """Settings and credentials of Tigris."""

    credentials: TigrisAccessKeyCredentials = Field(description="access_key.")


class GoogleDriveConfig(GoogleDriveSettings):
    """Settings and credentials of Google Drive."""

    credentials: GoogleDriveCredentials = Field(description="service_account or oauth.")

    @model_validator(mode="after")
    def _check_impersonation(self) -> Self:
        if self.impersonate_user is not None and isinstance(self.credentials, GoogleDriveOAuthCredentials):
            accepted = "it only with service_account credentials"
            raise field_not_accepted("impersonate_user", self.impersonate_user, accepted)
        return self


class SharePointConfig(SharePointSettings):
    """Settings and credentials of SharePoint or OneDrive."""

    credentials: SharePointCredentials = Field(description="client_credentials, certificate or delegated.")


class SnowflakeConfig(SnowflakeSettings):
    """Settings and credentials of Snowflake."""

    credentials: SnowflakeCredentials = Field(description="key_pair or username_password.")


ProviderSettings = Annotated[
    S3Settings | TigrisSettings | GoogleDriveSettings | SharePointSettings | SnowflakeSettings,
    Field(discriminator="provider_type"),
]
ProviderConfig = Annotated[
    S3Config | TigrisConfig | GoogleDriveConfig | SharePointConfig | SnowflakeConfig,
    Field(discriminator="provider_type"),
]
