"""The one place where failures of Snowflake become our errors."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mixsync_dagster.errors import (
    AccessDenied,
    ConfigurationError,
    MixsyncError,
    PathNotFound,
    ProviderUnavailable,
    RateLimited,
)

_SESSION_ENDED = frozenset({390104, 390110, 390111, 390112, 390113, 390114, 390115, 390195, 390303, 390318})
_SIGN_IN = frozenset({250001, 251005, 251006, 251008, 251010, 390100, 390101, 390144, 394300, 394301, 394302, 394304})
_UNKNOWN_OBJECT = frozenset({2003, 2043, 2151})
_NO_SUCH_COLUMN = 904
_NO_WAREHOUSE = 606
_TIMED_OUT = 630
_CANCELLED = 604
_NO_RIGHT = 3001
_QUOTA = 90073
HTTP_CODES = 290_000
"""What the connector adds to HTTP statuses."""
_TOO_MANY_REQUESTS = 429
_NO_SUCH_HOST = frozenset({403, 404})


class Stage(StrEnum):
    """What was going on when something failed."""

    SIGN_IN = "sign_in"
    STATEMENT = "statement"


class Kind(StrEnum):
    """What kind of failure the connector told."""

    OUTAGE = "outage"
    """No usable answer."""
    REFUSAL = "refusal"
    """Snowflake answered, and refused."""


@dataclass(eq=False)
class Failure(Exception):
    """A failure of the connector in plain values; `told` makes an error of it."""

    kind: Kind
    stage: Stage
    code: int | None
    """Snowflake's or the connector's number; HTTP statuses stand above 290000."""
    sql_state: str | None = None
    about: str = ""
    """What the vendor speaks about: `role`, `network_policy`, `account`, `warehouse`, `certificate`; or nothing."""

    @property
    def session_ended(self) -> bool:
        """Whether a new sign-in is all that is needed."""
        return self.code in _SESSION_ENDED

    def __str__(self) -> str:
        return f"code {self.code}" if self.sql_state is None else f"code {self.code}, state {self.sql_state}"


@dataclass(frozen=True, slots=True)
class Place:
    """What the sentences name."""

    account: str
    username: str
    role: str | None
    warehouse: str
    table: str
    """As a statement says it."""
    query_timeout_seconds: int

    @property
    def shown_role(self) -> str:
        """The role in words."""
        return f"the role {self.role}" if self.role else f"the default role of {self.username}"


def told(failure: Failure, place: Place) -> MixsyncError:
    """Return our error of a failure, as one sentence without anything that the vendor said."""
    status = None if failure.code is None else failure.code - HTTP_CODES
    if status == _TOO_MANY_REQUESTS:
        return RateLimited(f"Snowflake asks to slow down ({failure}).")
    if failure.session_ended:
        return ProviderUnavailable(f"The session with Snowflake has ended and begins anew ({failure}).")
    if failure.stage is Stage.SIGN_IN:
        return _sign_in(failure, place)
    return _statement(failure, place)


def _sign_in(failure: Failure, place: Place) -> MixsyncError:
    if failure.about == "account" or (failure.code or 0) - HTTP_CODES in _NO_SUCH_HOST:
        return ConfigurationError(
            f"account: nobody answers for the account {place.account} ({failure}); give the account identifier, such "
            "as myorg-analytics, and the host of a private link."
        )
    if failure.about == "certificate":
        return ConfigurationError(
            f"The account {place.account} shows a certificate that is not trusted here ({failure}); set "
            "MIXSYNC_CA_BUNDLE to the PEM file of the authority that signed it."
        )
    if failure.about == "role":
        return AccessDenied(f"role: the role {place.role} does not exist or is not granted to {place.username}.")
    if failure.about == "network_policy":
        return AccessDenied(
            f"A network policy of the account {place.account} refuses this machine's address ({failure}); let an "
            "administrator add it."
        )
    if failure.kind is Kind.REFUSAL or failure.code in _SIGN_IN - {250001}:
        return AccessDenied(
            f"credentials: the account {place.account} does not accept the user {place.username} with these "
            f"credentials ({failure}); check the password, or that the key's public half is set for the user."
        )
    return ProviderUnavailable(f"The account {place.account} cannot be reached or does not answer ({failure}).")


def _statement(failure: Failure, place: Place) -> MixsyncError:
    code = failure.code
    if failure.kind is Kind.OUTAGE or code == _CANCELLED:
        return ProviderUnavailable(f"Snowflake gave no usable answer to a statement ({failure}).")
    if code == _NO_RIGHT:
        role = place.shown_role
        return AccessDenied(f"{role[0].upper()}{role[1:]} may not read {place.table} ({failure}); grant SELECT on it.")
    if code in _UNKNOWN_OBJECT or failure.sql_state == "42S02":
        return PathNotFound(
            f"source_path: {place.table} does not exist, or {place.shown_role} lacks USAGE on its database and schema "
            f"or SELECT on it ({failure})."
        )
    return ConfigurationError(_hint(failure, place))


def _hint(failure: Failure, place: Place) -> str:
    if failure.code == _NO_WAREHOUSE or failure.about == "warehouse":
        return f"warehouse: {place.warehouse} does not exist, or {place.shown_role} has no USAGE on it ({failure})."
    hints = {
        _TIMED_OUT: f"query_timeout_seconds: a statement about {place.table} ran longer than "
        f"{place.query_timeout_seconds} seconds; give more time or a larger warehouse.",
        _QUOTA: f"warehouse: a resource monitor has suspended {place.warehouse} ({failure}).",
        _NO_SUCH_COLUMN: f"A column of {place.table} is gone since the table was looked at ({failure}).",
    }
    return hints.get(failure.code or 0, f"Snowflake refuses a statement about {place.table} ({failure}).")
