"""The one place where answers of S3 become our errors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mixsync_dagster.errors import (
    AccessDenied,
    ConfigurationError,
    ItemChanged,
    ItemUnreadable,
    ItemVanished,
    MixsyncError,
    PathNotFound,
)
from mixsync_dagster.transport import answers
from mixsync_dagster.transport.answers import HIGHEST_CLIENT_ERROR, TIMED_OUT, TOO_MANY, patience_error

_THROTTLING = frozenset(
    {
        "SlowDown",
        "SlowDownRead",
        "ServiceUnavailable",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "BandwidthLimitExceeded",
    }
)
_WRONG_KEYS = frozenset(
    {
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "TokenRefreshRequired",
        "InvalidSecurity",
        "UnrecognizedClientException",
        "AccountProblem",
        "NotSignedUp",
    }
)
_ELSEWHERE = frozenset(
    {
        "PermanentRedirect",
        "TemporaryRedirect",
        "AuthorizationHeaderMalformed",
        "IllegalLocationConstraintException",
    }
)
_TRANSIENT_400 = frozenset({"RequestTimeout", "IncompleteBody"})


@dataclass(eq=False)
class Refusal(answers.Refusal):
    """An answer of the protocol that is not a success; `request_error` and `item_error` make errors of it."""

    region: str | None = None
    """The bucket's region, when the answer names it."""

    @property
    def throttled(self) -> bool:
        """Whether the service said slow down: 429, or 503 that asks for patience (an answer to HEAD has no code)."""
        if self.status == 503:  # noqa: PLR2004 - Service Unavailable
            return self.code in _THROTTLING or not self.code or self.retry_after is not None
        return self.status == TOO_MANY or self.code in _THROTTLING


def request_error(refusal: Refusal, *, bucket: str, right: str, now: datetime) -> MixsyncError:
    """Return the error of a request about a bucket; `right` is the permission that the request needs."""
    if error := _any_request_error(refusal, bucket, now):
        return error
    if refusal.status == 404:  # noqa: PLR2004 - Not Found
        return PathNotFound(f"The bucket {bucket} does not exist at this endpoint ({refusal}).")
    if refusal.status in (401, 403):
        return AccessDenied(f"The credentials lack the right {right} on the bucket {bucket} ({refusal}).")
    return ConfigurationError(f"The service does not accept requests about the bucket {bucket} ({refusal}).")


def item_error(refusal: Refusal, *, bucket: str, key: str, right: str, now: datetime) -> MixsyncError:
    """Return the error of a request about one object; `right` is the permission that the request needs."""
    if error := _any_request_error(refusal, bucket, now):
        return error
    if refusal.code == "NoSuchBucket":
        return PathNotFound(f"The bucket {bucket} does not exist at this endpoint ({refusal}).")
    if refusal.status in (404, 410):
        return ItemVanished(f"{key} is gone since it was listed.")
    if refusal.status == 412:  # noqa: PLR2004 - Precondition Failed
        return ItemChanged(f"{key} changed since it was listed.")
    kind, reason = "refused", "the service refuses the request"
    if refusal.code == "InvalidObjectState":
        kind, reason = "archived", "it is archived and has to be restored first"
    elif refusal.status in (401, 403):
        kind, reason = "access_denied", f"the right {right} is missing"
    return ItemUnreadable(f"{key} cannot be read: {reason} ({refusal}).", error_type=kind)


def _any_request_error(refusal: Refusal, bucket: str, now: datetime) -> MixsyncError | None:
    status = refusal.status
    failed = status > HIGHEST_CLIENT_ERROR or status == TIMED_OUT or refusal.code in _TRANSIENT_400
    if error := patience_error(refusal, who="The service", now=now, throttled=refusal.throttled, failed=failed):
        return error
    if refusal.code in _ELSEWHERE or refusal.status in (301, 302, 307, 308):
        hint = f"; set region to {refusal.region}" if refusal.region else "; set its region or endpoint_url"
        return ConfigurationError(f"region: the bucket {bucket} is in another region{hint} ({refusal}).")
    if refusal.code in _WRONG_KEYS:
        return AccessDenied(f"The service does not accept the access key, its secret or its session token ({refusal}).")
    if refusal.code == "RequestTimeTooSkewed":
        return AccessDenied(f"The service refuses requests by this machine's clock; set the clock right ({refusal}).")
    return None
