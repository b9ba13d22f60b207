"""Requests of the S3 protocol: signed by botocore and sent as they are, or, for small plain reads, made by obstore.

The only module of this provider that imports a vendor's library. It returns plain data and raises our errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import obstore
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from obstore.exceptions import BaseError
from obstore.store import S3Store

from mixsync_dagster.errors import AccessDenied, ConfigurationError, ProviderUnavailable
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.s3.credentials import Keys, KeySource, RenewedKeys, StaticKeys, given_keys
from mixsync_dagster.providers.s3.errors import Refusal
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.transport.answers import error_body
from mixsync_dagster.transport.http import HttpAnswer, TruncatedBody
from mixsync_dagster.transport.origins import Origin, pool_of
from mixsync_dagster.transport.redact import summary
from mixsync_dagster.transport.tokens import SHELF, key_of

SMALL_READ_SECONDS = 120.0
"""Whole time that a small read may take: a read timeout never ends an answer that trickles."""

_ROLE_SESSION_SECONDS = 3600
_SERVER_ERROR = 500
_STATUS = re.compile(r"non-2xx status code: (\d{3})")
_CODE = re.compile(r"<Code>([\w.]{1,64})</Code>")
_INSIDE_BODY = re.compile(r"response body error|kind: (?:Body|Decode|Interrupted)\b")


class S3Client:
    """One bucket at one service; for any number of threads. Nothing is repeated, nothing cached but connections."""

    def __init__(self, settings: S3Settings, clock: Clock) -> None:
        self._row = settings.row
        self._address = address = settings.address
        self._region = settings.effective_region
        self._keys = key_source(settings, clock)
        self._pool = pool_of(Origin(address.scheme, address.host.strip("[]"), address.port), settings)
        # obstore connects by itself: where a user named the host and connections are judged, it reads nothing.
        self.small_reads = settings.addresses is None or settings.endpoint_url is None
        self._store = _store(settings, self._keys)

    @property
    def place(self) -> str:
        """Host and port, for messages."""
        return self._address.authority

    def send(
        self,
        method: str,
        key: bytes = b"",
        query: Iterable[tuple[str, str | bytes]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send one signed request about a key (empty: about the bucket) and return the answer, whatever its status.

        The key goes over the wire exactly. Raises ProviderUnavailable when nobody answers, AccessDenied when a role
        cannot be assumed.
        """
        target = self._address.path + quote(key, safe="/")
        text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in sorted(query))
        if text:
            target = f"{target}?{text}"
        return self._pool.send(method, target, self._signed(method, target, headers or {}))

    def get_small(self, key: str, etag: str) -> tuple[str | None, Any]:
        """Return the ETag of the answer as it was sent, and the whole content as a buffer.

        Only for keys that obstore can say exactly (see `plainly_said`). Raises Refusal for an answer that is not 200,
        ProviderUnavailable, TruncatedBody when the connection ends inside the body, AccessDenied as `send`.
        """
        # obstore asks for keys itself; what goes wrong there has to come out as our error, not as obstore's.
        self._keys.current()
        try:
            answer = obstore.get(self._store, key, options={"if_match": f'"{etag}"'})
            return answer.meta["e_tag"], answer.bytes()
        except (BaseError, FileNotFoundError, ValueError, OSError) as error:
            raise self._told(error) from None

    def close(self) -> None:
        """Close idle connections. Twice is harmless."""
        self._pool.close()

    def _signed(self, method: str, target: str, headers: Mapping[str, str]) -> dict[str, str]:
        keys = self._keys.current()
        request = AWSRequest(method, self._address.base_url + target, headers={**self._row.headers, **headers})
        credentials = ReadOnlyCredentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
        S3SigV4Auth(credentials, "s3", self._region).add_auth(request)
        signed = {name: str(value) for name, value in request.headers.items()}
        signed.setdefault("Host", self._address.authority)
        return signed

    def _told(self, error: Exception) -> Exception:
        # obstore's exceptions carry status and body only inside their text.
        text = str(error)
        if status := _STATUS.search(text):
            code = _CODE.search(text)
            return Refusal(int(status[1]), code[1] if code else "")
        if isinstance(error, FileNotFoundError):
            return Refusal(404)
        if _INSIDE_BODY.search(text) and "kind: Request" not in text and "TimedOut" not in text:
            return TruncatedBody(f"The connection to {self.place} broke inside an answer ({summary(error)}).")
        return ProviderUnavailable(f"{self.place} cannot be reached or does not answer ({summary(error)}).")


def refusal_of(answer: HttpAnswer) -> Refusal:
    """Return what an answer that is not a success says, and free its connection."""
    body = error_body(answer)
    code = _CODE.search(body.decode("utf-8", "replace"))
    region = answer.headers.get("x-amz-bucket-region") or _region_in(body)
    return Refusal(answer.status, code[1] if code else "", answer.headers.get("Retry-After"), region)


def _region_in(body: bytes) -> str | None:
    found = re.search(rb"<Region>([a-z0-9-]{2,40})</Region>|expecting '([a-z0-9-]{2,40})'", body)
    return next(part for part in found.groups() if part).decode("ascii") if found else None


def key_source(settings: S3Settings, clock: Clock) -> KeySource:
    """Return where keys come from: the given ones, or a role that they (or the machine's own identity) assume.

    Raises ConfigurationError when neither is given.
    """
    given = given_keys(settings)
    if settings.role_arn is not None:
        asked = (settings.role_arn, settings.external_id, settings.sts_endpoint_url, settings.effective_region)
        slot = SHELF.slot(
            key_of(settings.connection_id, *asked, *(() if given is None else _boto_keys(given).values()))
        )
        return RenewedKeys(lambda: _assume_role(settings, given), clock, slot)
    if given is None:
        raise ConfigurationError("credentials: nothing is given; give an access key and its secret, or a role.")
    return StaticKeys(given)


def _assume_role(settings: S3Settings, given: Keys | None) -> Keys:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    own: dict[str, Any] = {} if given is None else _boto_keys(given)
    extra: dict[str, Any] = {} if settings.external_id is None else {"ExternalId": settings.external_id}
    options = Config(
        connect_timeout=settings.connect_timeout_seconds,
        read_timeout=settings.read_timeout_seconds,
        retries={"total_max_attempts": 1},
    )
    region, url = settings.effective_region, settings.sts_endpoint_url
    try:
        service = boto3.Session().client("sts", region_name=region, endpoint_url=url, config=options, **own)
        answer = service.assume_role(
            RoleArn=settings.role_arn or "",
            RoleSessionName="mixsync",
            DurationSeconds=_ROLE_SESSION_SECONDS,
            **extra,
        )["Credentials"]
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = error.response.get("Error", {}).get("Code", "")
        if status >= _SERVER_ERROR or code == "Throttling":
            raise ProviderUnavailable(f"The role service does not answer ({code}).") from None
        raise AccessDenied(
            f"credentials.role_arn: {settings.role_arn} cannot be assumed ({code}); "
            "check its trust policy and external id."
        ) from None
    except (BotoCoreError, ResponseParserError, KeyError) as error:
        # botocore raises KeyError for an answer that is XML and something else.
        raise ProviderUnavailable(f"The role service does not answer ({summary(error)}).") from None
    return Keys(answer["AccessKeyId"], answer["SecretAccessKey"], answer["SessionToken"], answer["Expiration"])


def _boto_keys(keys: Keys) -> dict[str, str | None]:
    return {
        "aws_access_key_id": keys.access_key_id,
        "aws_secret_access_key": keys.secret_access_key,
        "aws_session_token": keys.session_token,
    }


def _store(settings: S3Settings, keys: KeySource) -> S3Store:
    address = settings.address
    endpoint = settings.endpoint if settings.addressing == "path" else address.base_url + address.path.rstrip("/")

    def credentials() -> Any:
        current = keys.current()
        return {
            "access_key_id": current.access_key_id,
            "secret_access_key": current.secret_access_key,
            "token": current.session_token,
            "expires_at": current.expires_at,
        }

    options: dict[str, Any] = {
        "allow_http": address.scheme == "http",
        "connect_timeout": timedelta(seconds=settings.connect_timeout_seconds),
        "read_timeout": timedelta(seconds=settings.read_timeout_seconds),
        "timeout": timedelta(seconds=SMALL_READ_SECONDS),
        "pool_max_idle_per_host": str(settings.max_connections),
        "default_headers": dict(settings.row.headers),
    }
    if settings.verify is False:
        options["allow_invalid_certificates"] = True
    elif isinstance(settings.verify, str):
        options["root_certificate"] = Path(settings.verify).read_text("ascii")
    return S3Store(
        settings.container,
        # obstore fills gaps from AWS_* variables; each that could lead a request elsewhere is closed here, and keys
        # come by a callback, which keeps AWS_SESSION_TOKEN out.
        config={
            "endpoint": endpoint,
            "aws_endpoint_url_s3": endpoint,
            "region": settings.effective_region,
            "virtual_hosted_style_request": settings.addressing == "virtual",
            "request_payer": False,
            "skip_signature": False,
            "s3_express": False,
        },
        client_options=options,  # type: ignore[arg-type]  # built piece by piece
        retry_config={"max_retries": 0},
        credential_provider=credentials,
    )
