"""The one place where answers of Google become our errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from mixsync_dagster.errors import (
    AccessDenied,
    ConfigurationError,
    CursorExpired,
    ItemUnreadable,
    ItemVanished,
    MixsyncError,
    PathNotFound,
    RateLimited,
)
from mixsync_dagster.transport import answers
from mixsync_dagster.transport.answers import HIGHEST_CLIENT_ERROR, TIMED_OUT, TOO_MANY, patience_error
from mixsync_dagster.transport.http import retry_after_seconds

# Reasons: developers.google.com/workspace/drive/api/guides/handle-errors. The status alone does not tell: a 403 may
# ask for patience.
_THROTTLING = frozenset(
    {"rateLimitExceeded", "userRateLimitExceeded", "sharingRateLimitExceeded", "RATE_LIMIT_EXCEEDED"}
)
_FOR_TODAY = frozenset({"dailyLimitExceeded", "dailyLimitExceededUnreg", "quotaExceeded"})
_DISABLED = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_SCOPE_MISSING = frozenset({"insufficientPermissions", "insufficientScopes", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"})
_POLICY = frozenset({"domainPolicy", "accountDisabled", "appNotAuthorizedToFile"})
_OBJECT_REASONS: Mapping[str, tuple[str, str]] = {
    "cannotDownloadAbusiveFile": ("abusive_file", "Google holds it for malware or spam"),
    "cannotDownloadFile": ("download_forbidden", "its owner does not let readers download it"),
    "fileNotDownloadable": ("not_exportable", "it has no bytes to download"),
    "fileNotExportable": ("not_exportable", "it cannot be exported"),
    "exportSizeLimitExceeded": ("export_too_large", "its export is over the size limit of Drive"),
    "downloadQuotaExceeded": ("download_quota_exceeded", "its download quota is used up, usually for a day"),
    "insufficientFilePermissions": ("access_denied", "the account may not read it"),
}
_CONSENT_GONE = "credentials.refresh_token: it has expired or was revoked; give the consent again"
_CONSENT: Mapping[str, str] = {
    "invalid_client": "credentials.client_secret: Google does not know this OAuth client or its secret",
    "invalid_scope": "credentials.refresh_token: the consent does not cover {scope}; give it again",
}
_QUOTA_DAY_STARTS_HOUR = 8
"""Daily quotas begin anew at midnight Pacific time, which is 07:00 or 08:00 UTC; the later one is safe."""
_LONGEST_WORD = 64


@dataclass(eq=False)
class Refusal(answers.Refusal):
    """An answer of Google that is not a success, `code` the first reason of its body; errors are made of it here."""

    location: str = ""
    """The parameter that the error is about."""


def refusal_of(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Return what an answer that is no success says."""
    reason = location = ""
    try:
        error = json.loads(body)["error"]
        first = error["errors"][0] if error.get("errors") else {}
        reason, location = _word(first.get("reason")), _word(first.get("location"))
        details = [_word(one.get("reason")) for one in error.get("details", ())]
        # The modern detail is the sharper word: the old one says "forbidden" for a disabled API, too.
        sharper = [one for one in details if one in _DISABLED | _SCOPE_MISSING]
        reason = sharper[0] if sharper else reason or _word(error.get("status"))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        pass
    return Refusal(status, reason, headers.get("Retry-After") or headers.get("retry-after"), location)


def _word(value: Any) -> str:
    text = value if isinstance(value, str) else ""
    return text if text.replace("_", "").isalnum() and len(text) <= _LONGEST_WORD else ""


def request_error(refusal: Refusal, *, who: str, now: datetime) -> MixsyncError:
    """Return the error of a request that is about no single file."""
    if error := _any_request_error(refusal, who, now):
        return error
    if refusal.location == "pageToken" or refusal.status == 410:  # noqa: PLR2004 - Gone
        return CursorExpired(f"Google Drive no longer takes this position ({refusal}).")
    if refusal.status == 404:  # noqa: PLR2004 - Not Found
        return PathNotFound(f"The drive or folder does not exist, or is not shared with {who} ({refusal}).")
    if refusal.status == 403:  # noqa: PLR2004 - Forbidden
        return AccessDenied(f"Google Drive refuses {who} ({refusal}); give it at least the role Viewer.")
    return ConfigurationError(f"Google Drive does not accept the request ({refusal}).")


def item_error(refusal: Refusal, *, path: str, who: str, now: datetime) -> MixsyncError:
    """Return the error of a request about one file."""
    if error := _any_request_error(refusal, who, now):
        return error
    if refusal.status in (404, 410):
        return ItemVanished(f"{path} is gone since it was listed, or no longer shared with {who}.")
    kind, reason = _OBJECT_REASONS.get(refusal.code, ("refused", "Google Drive refuses the request"))
    if kind == "refused" and refusal.status == 403:  # noqa: PLR2004 - Forbidden
        kind, reason = "access_denied", "the account may not read it"
    return ItemUnreadable(f"{path} cannot be read: {reason} ({refusal}).", error_type=kind)


def token_error(code: str, *, settings_type: str, who: str, subject: str | None, scope: str) -> MixsyncError:
    """Return the error of a refused token request; `code` is OAuth's word for it."""
    word = _word(code) or "refused"
    if settings_type == "oauth":
        return AccessDenied(f"{_CONSENT.get(word, _CONSENT_GONE).format(scope=scope)} ({word}).")
    if subject is not None and word in {"unauthorized_client", "access_denied", "invalid_scope"}:
        return AccessDenied(
            f"impersonate_user: the service account may not act for {subject}; a Workspace administrator has to grant "
            f"its client id domain-wide delegation for {scope} ({word})."
        )
    if subject is not None:
        return AccessDenied(
            f"impersonate_user: Google gives no token for {subject}; the user has to exist, and the service account's "
            f"key has to be valid ({word})."
        )
    return AccessDenied(
        f"credentials.private_key: Google does not accept the key of {who}; it was deleted, or this machine's clock is "
        f"wrong ({word})."
    )


def _any_request_error(refusal: Refusal, who: str, now: datetime) -> MixsyncError | None:
    if refusal.code in _FOR_TODAY:
        wait = retry_after_seconds(refusal.retry_after, now)
        return RateLimited(
            f"The Google Cloud project's quota is used up for today ({refusal}).",
            retry_after_seconds=max(wait or 0.0, _until_next_quota_day(now)),
        )
    throttled = refusal.code in _THROTTLING or refusal.status == TOO_MANY
    failed = refusal.status > HIGHEST_CLIENT_ERROR or refusal.status == TIMED_OUT or refusal.code == "backendError"
    if error := patience_error(refusal, who="Google Drive", now=now, throttled=throttled, failed=failed):
        return error
    sentence = _account_problem(refusal, who)
    return None if sentence is None else AccessDenied(f"{sentence} ({refusal}).")


def _account_problem(refusal: Refusal, who: str) -> str | None:
    if refusal.status == 401:  # noqa: PLR2004 - Unauthorized
        return f"Google Drive does not accept the token of {who}, not even a fresh one"
    if refusal.code in _DISABLED:
        return "The Google Drive API is not enabled in the account's Google Cloud project; enable it there"
    if refusal.code in _SCOPE_MISSING:
        return f"The token of {who} lacks the scope drive.readonly"
    if refusal.code in _POLICY:
        return f"The domain's administrators do not let {who} use Drive through this app"
    return None


def _until_next_quota_day(now: datetime) -> float:
    starts = now.replace(hour=_QUOTA_DAY_STARTS_HOUR, minute=0, second=0, microsecond=0)
    if starts <= now:
        starts += timedelta(days=1)
    return (starts - now).total_seconds()
