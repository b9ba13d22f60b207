"""The one place where answers of Graph become our errors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from mixsync_dagster.errors import (
    AccessDenied,
    ConfigurationError,
    CursorExpired,
    ItemUnreadable,
    ItemVanished,
    MixsyncError,
    PathNotFound,
)
from mixsync_dagster.transport import answers
from mixsync_dagster.transport.answers import HIGHEST_CLIENT_ERROR, TIMED_OUT, TOO_MANY, patience_error

_THROTTLING = frozenset({"activityLimitReached", "tooManyRequests", "TooManyRequests", "throttledRequest"})
_BANDWIDTH = 509
_NOT_IMPLEMENTED = 501


@dataclass(eq=False)
class Refusal(answers.Refusal):
    """An answer of Graph that is not a success; `request_error` and `item_error` make errors of it."""

    granted: str = ""
    """The application's roles or the user's scopes, as the token that was refused tells them."""

    @property
    def throttled(self) -> bool:
        """Whether the service said slow down: 429, 509, or 503 that asks for patience."""
        if self.status == 503:  # noqa: PLR2004 - Service Unavailable
            return self.retry_after is not None or self.code in _THROTTLING
        return self.status in (TOO_MANY, _BANDWIDTH) or self.code in _THROTTLING


def request_error(refusal: Refusal, *, place: str, now: datetime) -> MixsyncError:
    """Return the error of a request about a site, a library or a folder; `place` names it, e.g. "the site X"."""
    if error := _any_request_error(refusal, now):
        return error
    if refusal.status == 404:  # noqa: PLR2004 - Not Found
        return PathNotFound(
            f"source_path: {place} does not exist, or it is not shared with the application or user ({refusal})."
        )
    if refusal.status == 403:  # noqa: PLR2004 - Forbidden
        return AccessDenied(_right_missing(refusal, place))
    if refusal.status == 423:  # noqa: PLR2004 - Locked
        return AccessDenied(f"{_capital(place)} is locked; ask its administrator to unlock it ({refusal}).")
    return ConfigurationError(f"source_path: the service does not accept requests about {place} ({refusal}).")


def feed_error(refusal: Refusal, *, place: str, now: datetime) -> MixsyncError:
    """Return the error of a request for a page of a delta.

    410 carries a Location that begins a new enumeration, which is what a listing from the start asks for anyway: it
    becomes CursorExpired, whichever of the two resync codes it has. A position that the service calls malformed is
    not aged but damaged, and is said aloud.
    """
    if refusal.status == 410:  # noqa: PLR2004 - Gone
        return CursorExpired(f"The change feed's position is too old ({refusal}); everything is listed again.")
    if refusal.status == 400:  # noqa: PLR2004 - Bad Request
        return ConfigurationError(
            f"The service does not understand the stored position of {place}'s change feed ({refusal}), which should "
            "never happen; run the sync once in full to begin a new one, and report this."
        )
    return request_error(refusal, place=place, now=now)


def item_error(refusal: Refusal, *, path: str, now: datetime) -> MixsyncError:
    """Return the error of a request about one file."""
    if error := _any_request_error(refusal, now):
        return error
    if refusal.status in (404, 410):
        return ItemVanished(f"{path} is gone since it was listed.")
    kind, reason = "refused", "the service refuses the request"
    if refusal.status in (401, 403):
        kind, reason = "access_denied", "the application or user may not read it"
    elif refusal.status == 423:  # noqa: PLR2004 - Locked
        kind, reason = "locked", "it is locked"
    return ItemUnreadable(f"{path} cannot be read: {reason} ({refusal}).", error_type=kind)


def _any_request_error(refusal: Refusal, now: datetime) -> MixsyncError | None:
    status = refusal.status
    failed = status == TIMED_OUT or (status > HIGHEST_CLIENT_ERROR and status != _NOT_IMPLEMENTED)
    if error := patience_error(refusal, who="The service", now=now, throttled=refusal.throttled, failed=failed):
        return error
    if status == 401:  # noqa: PLR2004 - Unauthorized
        return AccessDenied(
            f"Microsoft Graph does not accept the token of this application ({refusal}); check that "
            "credentials.tenant_id names the tenant of the site, and that graph_endpoint and authority_host belong to "
            "the same cloud."
        )
    return None


def _right_missing(refusal: Refusal, place: str) -> str:
    has = f"it has {refusal.granted}" if refusal.granted else "it has none"
    return (
        f"The application may not read {place} ({refusal}): grant it Sites.Read.All or Files.Read.All with an "
        f"administrator's consent ({has}), or, with Sites.Selected, the role read on this site."
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
