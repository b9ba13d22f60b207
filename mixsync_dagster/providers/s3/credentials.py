"""Keys that requests are signed with: given ones, or those of an assumed role, renewed before they expire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.providers.s3.settings import S3Settings
from mixsync_dagster.transport.tokens import RENEW_BEFORE_SECONDS, Kept, Slot

RENEW_BEFORE = timedelta(seconds=RENEW_BEFORE_SECONDS)


@dataclass(frozen=True, slots=True)
class Keys:
    """One set of keys; the secrets are left out of `repr`."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None
    """Aware UTC; None: they do not expire."""


class KeySource(Protocol):
    """Where signing keys come from; for any number of threads."""

    def current(self) -> Keys:
        """Return keys that are valid for at least a few minutes more. Raises AccessDenied, ProviderUnavailable."""
        ...


class StaticKeys:
    """The same keys for ever."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def current(self) -> Keys:
        """Return the keys."""
        return self._keys


class RenewedKeys(Kept[Keys]):
    """Keys that `fetch` brings, fetched once and again RENEW_BEFORE they expire; one thread fetches, others wait."""

    def __init__(self, fetch: Callable[[], Keys], clock: Clock, slot: Slot[Keys] | None = None) -> None:
        def fresh(keys: Keys) -> bool:
            return keys.expires_at is None or clock.now() < keys.expires_at - RENEW_BEFORE

        super().__init__(fetch, fresh, slot)


def given_keys(settings: S3Settings) -> Keys | None:
    """Return the static keys of the settings; None when there are none. Raises ConfigurationError for half a pair."""
    if settings.access_key_id is None and settings.secret_access_key is None:
        return None
    if not settings.access_key_id or not settings.secret_access_key:
        raise ConfigurationError("credentials: give access_key_id and secret_access_key together.")
    return Keys(settings.access_key_id, settings.secret_access_key, settings.session_token)
