"""Credentials of the five providers, and how they become plain values.

Every field takes its value as it is or as `{env: NAME}`. Secret fields are shown as a mask everywhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, Field

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.base import Model, not_accepted
from mixsync_dagster.model.endpoints import ServiceUrl
from mixsync_dagster.model.secrets import SecretValue, TextValue, references, reveal, secret_form
from mixsync_dagster.model.validation import parse

MAX_KEY_ID_CHARS = 128

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+-----END CERTIFICATE-----", re.DOTALL)
_ROLE_ARN = re.compile(r"arn:aws:iam::\d{12}:role/[\w+=,.@-]+", re.ASCII)


def _unpadded(text: str) -> bool:
    return text == text.strip()


def _fits_external_id(text: str) -> bool:
    return 8 <= len(text) <= 128  # noqa: PLR2004 - the bounds of AWS


def _pem(text: str) -> bool:
    return "-----BEGIN " in text and "PRIVATE KEY-----" in text and "-----END " in text


def _checked_role(role: object) -> object:
    if isinstance(role, str) and not _ROLE_ARN.fullmatch(role):
        raise not_accepted("a role such as arn:aws:iam::123456789012:role/name")
    return role


def _checked_key_id(key_id: object) -> object:
    if isinstance(key_id, str) and not (_unpadded(key_id) and len(key_id) <= MAX_KEY_ID_CHARS):
        raise not_accepted("an access key id of 1 to 128 characters without spaces around it")
    return key_id


def _checked_email(email: object) -> object:
    if isinstance(email, str) and not re.fullmatch(r"[^@\s]+@[^@\s]+", email):
        raise not_accepted("an e-mail address")
    return email


_AccessKeyId = Annotated[TextValue, AfterValidator(_checked_key_id)]
_AccessSecret = Annotated[SecretValue, secret_form(_unpadded, "the secret access key without spaces around it")]
_ExternalId = Annotated[SecretValue, secret_form(_fits_external_id, "an external id of 8 to 128 characters")]


def _checked_certificate(certificate: object) -> object:
    if isinstance(certificate, str) and not _CERTIFICATE.search(certificate):
        raise not_accepted("a PEM certificate with its BEGIN CERTIFICATE and END CERTIFICATE lines")
    return certificate


_PrivateKey = Annotated[SecretValue, secret_form(_pem, "a PEM private key with its BEGIN and END lines")]


class _CredentialsModel(Model):
    """Base of the credentials: nothing that is given here is shown."""

    secretive: ClassVar[bool] = True


class S3AccessKeyCredentials(_CredentialsModel):
    """Access key and secret of AWS or of an S3-compatible service."""

    type: Literal["access_key"] = Field(description="Always access_key.")
    access_key_id: _AccessKeyId = Field(description="Access key id, 1 to 128 characters, or {env: NAME}.")
    secret_access_key: _AccessSecret = Field(description="Secret access key (secret), or {env: NAME}.")
    session_token: SecretValue | None = Field(
        default=None,
        description="Session token of temporary credentials (secret), or {env: NAME}. None: long-lived credentials.",
    )


class S3RoleCredentials(_CredentialsModel):
    """An AWS role that is assumed for sessions of one hour."""

    type: Literal["iam_role"] = Field(description="Always iam_role.")
    role_arn: Annotated[TextValue, AfterValidator(_checked_role)] = Field(
        description="The role, arn:aws:iam::<12 digits>:role/<name>, or {env: NAME}.",
        examples=["arn:aws:iam::123456789012:role/storage-sync"],
    )
    external_id: _ExternalId = Field(
        description="External id of the role's trust policy, 8 to 128 characters (confidential), or {env: NAME}."
    )


class TigrisAccessKeyCredentials(_CredentialsModel):
    """Access key and secret of Tigris."""

    type: Literal["access_key"] = Field(default="access_key", description="Always access_key.")
    access_key_id: Annotated[TextValue, AfterValidator(_checked_key_id)] = Field(
        description="Access key id (tid_...), 1 to 128 characters, or {env: NAME}."
    )
    secret_access_key: _AccessSecret = Field(description="Secret access key (tsec_..., secret), or {env: NAME}.")


class GoogleDriveServiceAccountCredentials(_CredentialsModel):
    """A Google service account, as its JSON key file tells it."""

    type: Literal["service_account"] = Field(description="Always service_account.")
    project_id: TextValue = Field(description="Google Cloud project of the service account, or {env: NAME}.")
    private_key_id: TextValue = Field(description="Id of the private key, or {env: NAME}.")
    private_key: _PrivateKey = Field(description="PEM private key (secret), or {env: NAME}.")
    client_email: Annotated[TextValue, AfterValidator(_checked_email)] = Field(
        description="The service account's e-mail address, or {env: NAME}; share folders with it."
    )
    client_id: TextValue = Field(description="Numeric id of the service account, or {env: NAME}.")
    token_uri: ServiceUrl = Field(
        default="https://oauth2.googleapis.com/token",
        description="Where tokens are fetched; https, or plain http for loopback addresses.",
    )


class GoogleDriveOAuthCredentials(_CredentialsModel):
    """A user's consent: OAuth client and refresh token."""

    type: Literal["oauth"] = Field(description="Always oauth.")
    client_id: TextValue = Field(description="OAuth client id (...apps.googleusercontent.com), or {env: NAME}.")
    client_secret: SecretValue = Field(description="OAuth client secret (secret), or {env: NAME}.")
    refresh_token: SecretValue = Field(description="Refresh token with drive.readonly (secret), or {env: NAME}.")
    token_uri: ServiceUrl = Field(
        default="https://oauth2.googleapis.com/token",
        description="Where tokens are fetched; https, or plain http for loopback addresses.",
    )


class SharePointClientCredentials(_CredentialsModel):
    """An Entra application that acts as itself."""

    type: Literal["client_credentials"] = Field(description="Always client_credentials.")
    tenant_id: TextValue = Field(description="Tenant (directory) id, or {env: NAME}.")
    client_id: TextValue = Field(description="Application (client) id, or {env: NAME}.")
    client_secret: SecretValue = Field(description="Client secret (secret), or {env: NAME}.")


class SharePointCertificateCredentials(_CredentialsModel):
    """An Entra application that acts as itself and proves it by a certificate."""

    type: Literal["certificate"] = Field(description="Always certificate.")
    tenant_id: TextValue = Field(description="Tenant (directory) id, or {env: NAME}.")
    client_id: TextValue = Field(description="Application (client) id, or {env: NAME}.")
    certificate: Annotated[TextValue, AfterValidator(_checked_certificate)] = Field(
        description="PEM certificate that is registered with the application, or {env: NAME}."
    )
    private_key: _PrivateKey = Field(description="PEM private key of the certificate (secret), or {env: NAME}.")
    private_key_passphrase: SecretValue | None = Field(
        default=None, description="Passphrase of the private key (secret), or {env: NAME}. None: the key has none."
    )


class SharePointDelegatedCredentials(_CredentialsModel):
    """An Entra application that acts for a user."""

    type: Literal["delegated"] = Field(description="Always delegated.")
    tenant_id: TextValue = Field(description="Tenant (directory) id or common, or {env: NAME}.")
    client_id: TextValue = Field(description="Application (client) id, or {env: NAME}.")
    client_secret: SecretValue = Field(description="Client secret (secret), or {env: NAME}.")
    refresh_token: SecretValue = Field(description="Refresh token with Files.Read.All (secret), or {env: NAME}.")


class SnowflakeKeyPairCredentials(_CredentialsModel):
    """A Snowflake user with a key pair."""

    type: Literal["key_pair"] = Field(description="Always key_pair.")
    username: TextValue = Field(description="User name, or {env: NAME}.")
    private_key: _PrivateKey = Field(description="PEM private key (secret), or {env: NAME}.")
    private_key_passphrase: SecretValue | None = Field(
        default=None, description="Passphrase of the private key (secret), or {env: NAME}. None: the key has none."
    )


class SnowflakeUsernamePasswordCredentials(_CredentialsModel):
    """A Snowflake user with a password."""

    type: Literal["username_password"] = Field(description="Always username_password.")
    username: TextValue = Field(description="User name, or {env: NAME}.")
    password: SecretValue = Field(description="Password (secret), or {env: NAME}.")


S3Credentials = Annotated[S3AccessKeyCredentials | S3RoleCredentials, Field(discriminator="type")]
GoogleDriveCredentials = Annotated[
    GoogleDriveServiceAccountCredentials | GoogleDriveOAuthCredentials, Field(discriminator="type")
]
SharePointCredentials = Annotated[
    SharePointClientCredentials | SharePointCertificateCredentials | SharePointDelegatedCredentials,
    Field(discriminator="type"),
]
SnowflakeCredentials = Annotated[
    SnowflakeKeyPairCredentials | SnowflakeUsernamePasswordCredentials, Field(discriminator="type")
]
AnyCredentials = TypeVar("AnyCredentials", bound=Model)


def resolve(credentials: AnyCredentials, lookup: Callable[[str], str | None]) -> AnyCredentials:
    """Return the credentials with every reference replaced by what `lookup` finds for its variable.

    Raises ConfigurationError naming the field and the variable when there is no value (or an empty one), InvalidInput
    when the value is not of the field's form.
    """
    plain: dict[str, Any] = reveal(credentials)
    for field, variable in references(credentials).items():
        value = lookup(variable)
        if not value:
            raise ConfigurationError(f"credentials.{field}: the environment variable {variable} is not set.")
        plain[field] = value
    return parse(type(credentials), plain, where="credentials")
