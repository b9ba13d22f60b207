"""Access tokens: fetched by msal, kept until shortly before they end, fetched anew when Graph refuses them.

The only module of this provider that imports a vendor's library, on first use. msal speaks https only and remembers
refusals by itself; its requests go through an adapter of ours that knows the sign-in service's real address, never
leaves it, and raises our errors where the service is throttled or down.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from mixsync_dagster.errors import AccessDenied, ConfigurationError, MixsyncError, ProviderUnavailable
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.sharepoint.settings import SharePointSettings
from mixsync_dagster.transport.answers import sign_in_error
from mixsync_dagster.transport.dialing import pool_manager
from mixsync_dagster.transport.origins import Origin
from mixsync_dagster.transport.redact import summary
from mixsync_dagster.transport.tokens import SHELF, KeptTokens, Token, key_of

_SIGN_IN_HOSTS = frozenset(
    {
        "login.microsoftonline.com",
        "login.microsoft.com",
        "login.windows.net",
        "login.microsoftonline.us",
        "login.chinacloudapi.cn",
        "login.partner.microsoftonline.cn",
    }
)
"""Microsoft's own sign-in hosts; one may name another as the place where tokens are fetched."""

_REASONS: Mapping[int, str] = {
    7000215: "credentials.client_secret: the secret is not accepted; give the secret's value, not its id",
    7000222: "credentials.client_secret: the secret has expired; create a new one for the application",
    7000216: "credentials.client_secret: the application needs a secret",
    700027: "credentials.certificate: the certificate is not registered with the application, or has expired",
    700016: "credentials.client_id: the application does not exist in this tenant",
    90002: "credentials.tenant_id: the tenant does not exist",
    900023: "credentials.tenant_id: this is neither a tenant's id nor a domain",
    70000: "credentials.refresh_token: the token is not accepted; sign the user in again",
    70008: "credentials.refresh_token: the token has expired; sign the user in again",
    700082: "credentials.refresh_token: the token has expired for want of use; sign the user in again",
    50173: "credentials.refresh_token: the token was revoked (the password changed); sign the user in again",
    65001: "credentials: neither the user nor an administrator has consented to the application",
    50076: "credentials.refresh_token: the tenant asks for a second factor; sign the user in again",
    50079: "credentials.refresh_token: the tenant asks for a second factor; sign the user in again",
    53003: "credentials: a conditional access policy of the tenant blocks the application",
}
"""What the sign-in service's numbers mean for whoever filled in the connection."""


class TokenSource:
    """The current access token of one connection; for any number of threads, one of which fetches."""

    def __init__(self, settings: SharePointSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._refresh_token = settings.refresh_token
        self._http = _SignInHttp(settings, clock)
        self._kept = KeptTokens(self._fetch, clock, SHELF.slot(_shelf_key(settings)))

    def current(self) -> str:
        """Return a token that is valid for some minutes. Raises AccessDenied, ConfigurationError, Throttled."""
        return self._kept.current()

    def renewed(self, refused: str) -> str:
        """Return another token than `refused`, which the service no longer takes; raises as `current`."""
        return self._kept.renewed(refused)

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        self._http.close()

    def _fetch(self) -> Token:
        scopes = [self._settings.token_scope]
        # A new application each time: msal keeps refusals for a minute, and revoked tokens for as long as they last.
        application = self._application()
        if self._refresh_token is None:
            answer = application.acquire_token_for_client(scopes)
        else:
            answer = application.acquire_token_by_refresh_token(self._refresh_token, scopes)
        if "access_token" not in answer:
            raise self._refused(answer)
        # The service may hand out a successor; the first one stays valid too, so that a restart can use it again.
        self._refresh_token = answer.get("refresh_token") or self._refresh_token
        return Token.lasting(str(answer["access_token"]), float(answer.get("expires_in") or 0), self._clock)

    def _application(self) -> Any:
        import msal  # type: ignore[import-untyped]  # it has neither stubs nor inline types

        settings = self._settings
        if settings.certificate is not None:
            check_pair(settings)
        try:
            return msal.ConfidentialClientApplication(
                settings.client_id,
                client_credential=self._proof(),
                authority=f"https://{self._http.authority}/{settings.tenant_id}",
                # Asking Microsoft which hosts are Microsoft's would leave a moved address, and tells nothing otherwise.
                instance_discovery=False,
                azure_region=False,
                http_client=self._http,
            )
        except ValueError:
            raise AccessDenied(
                f"credentials.tenant_id: the tenant {settings.tenant_id} does not exist at {self._http.authority}; "
                "give the directory (tenant) id that the application is registered in."
            ) from None

    def _proof(self) -> Any:
        settings = self._settings
        if settings.certificate is None:
            return settings.client_secret
        return {
            "private_key": settings.private_key,
            "public_certificate": settings.certificate,
            "passphrase": settings.private_key_passphrase,
        }

    def _refused(self, answer: Mapping[str, Any]) -> MixsyncError:
        codes = [code for code in answer.get("error_codes") or () if isinstance(code, int)]
        shown = ", ".join(f"AADSTS{code}" for code in codes) or "no code given"
        reason = next((_REASONS[code] for code in codes if code in _REASONS), None)
        if reason is None:
            reason = "credentials: the sign-in service does not accept the application or its secret"
        return AccessDenied(f"{reason} ({shown}).")


def _shelf_key(settings: SharePointSettings) -> str:
    """Return the key under which the token is kept: with anything else here, it would be another one."""
    secrets = (settings.client_secret, settings.certificate, settings.private_key, settings.refresh_token)
    application = (settings.tenant_id, settings.client_id, settings.token_scope)
    return key_of(settings.connection_id, settings.authority_host, settings.verify, *application, *secrets)


def check_pair(settings: SharePointSettings) -> None:
    """Return if the private key can be read and belongs to the certificate. Raises ConfigurationError."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        certificate = x509.load_pem_x509_certificate((settings.certificate or "").encode())
    except ValueError:
        raise ConfigurationError("credentials.certificate: it is no readable PEM certificate.") from None
    passphrase = settings.private_key_passphrase
    try:
        key = load_pem_private_key((settings.private_key or "").encode(), passphrase.encode() if passphrase else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ConfigurationError(
            "credentials.private_key: it cannot be read; give a PEM key, and its passphrase if and only if it has one."
        ) from None
    if not isinstance(key, RSAPrivateKey) or key.public_key() != certificate.public_key():
        raise ConfigurationError("credentials.private_key: it is not the RSA key of the certificate.")


def granted_by(token: str) -> str:
    """Return the roles (of an application) or scopes (of a user) that a token tells; empty when it hides them.

    For messages only: what a token allows is the service's business.
    """
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - a JSON web token
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        names = [*(claims.get("roles") or ()), *str(claims.get("scp") or "").split()]
    except (ValueError, AttributeError, TypeError):
        return ""
    return ", ".join(sorted(str(name) for name in names))


class _Response:
    """What msal asks of an answer."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        self.status_code = status
        self.text = text
        self.headers = headers

    def raise_for_status(self) -> None:
        """Do nothing: what would be raised here was raised when the answer came."""


class _SignInHttp:
    """msal's way out: to the sign-in service and nowhere else."""

    def __init__(self, settings: SharePointSettings, clock: Clock) -> None:
        self._origin = settings.sign_in
        self._clock = clock
        self._pool = pool_manager(
            settings.addresses,
            timeout=urllib3.Timeout(connect=settings.connect_timeout_seconds, read=settings.read_timeout_seconds),
            cert_reqs="CERT_REQUIRED",
            ca_certs=settings.verify if isinstance(settings.verify, str) else None,
            retries=False,
        )

    @property
    def authority(self) -> str:
        """Host and port, as they stand in the address that msal is given."""
        origin = self._origin
        return Origin("https", origin.host, origin.port).authority

    def get(self, url: str, params: Any = None, headers: Any = None, **_: Any) -> _Response:
        """Send a GET request."""
        return self._send("GET", url + (f"?{urlencode(params)}" if params else ""), headers, None)

    def post(self, url: str, params: Any = None, data: Any = None, headers: Any = None, **_: Any) -> _Response:
        """Send a form."""
        body = data if isinstance(data, str) else urlencode(data or {})
        form = {"Content-Type": "application/x-www-form-urlencoded", **(headers or {})}
        return self._send("POST", url + (f"?{urlencode(params)}" if params else ""), form, body)

    def close(self) -> None:
        """Close idle connections."""
        self._pool.clear()

    def _send(self, method: str, url: str, headers: Any, body: str | None) -> _Response:
        try:
            answer = self._pool.request(method, self._address(url), headers=headers, body=body, redirect=False)
        except (HTTPError, OSError) as error:
            message = f"{self._origin.authority} cannot be reached or does not answer ({summary(error)})."
            raise ProviderUnavailable(message) from None
        retry_after = answer.headers.get("Retry-After")
        if failed := sign_in_error(answer.status, retry_after, who="The sign-in service", now=self._clock.now()):
            raise failed
        return _Response(answer.status, answer.data.decode("utf-8", "replace"), answer.headers)

    def _address(self, url: str) -> str:
        asked, own = Origin.of(url), self._origin
        if asked is not None and asked.scheme == "https":
            if (asked.host, asked.port) == (own.host, own.port):
                parts = urlsplit(url)
                return parts._replace(scheme=own.scheme, netloc=own.authority).geturl()
            if {asked.host, own.host} <= _SIGN_IN_HOSTS:
                return url
        raise ConfigurationError(
            f"authority_host: the sign-in service at {own.authority} names another host as the place where tokens are "
            "fetched; secrets are not sent there."
        )
