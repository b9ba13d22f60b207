"""Making, checking and revoking API keys."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

from mixsync_dagster.control.owners import Owner, new_user_id
from mixsync_dagster.errors import InvalidInput
from mixsync_dagster.model.api_keys import ApiKey, Role
from mixsync_dagster.ports.clock import Clock
from mixsync_dagster.ports.tenants import KeyStore

PREFIX_CHARS = 11
"""`sk_` and eight characters that name the key."""

_KEY_CHARS = PREFIX_CHARS + 43
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_ACCEPTED_NAME = "1 to 63 letters, digits, underscores or hyphens, beginning with a letter or digit"


def namespace_id_of(name: str) -> str:
    """Return the id of the namespace with this id or name: `media` and `ns_media` are the same one."""
    return name if name.startswith("ns_") else f"ns_{name}"


def organisation_id_of(name: str) -> str:
    """Return the id of the organisation with this id or name: `acme` and `int_acme` are the same one."""
    return name if name.startswith("int_") else f"int_{name}"


class KeyRing:
    """The keys of one state store, whose digests are made with a pepper that the store does not hold."""

    def __init__(self, store: KeyStore, *, pepper: bytes, clock: Clock) -> None:
        self._store = store
        self._pepper = pepper
        self._clock = clock

    def create(
        self, *, namespace: str, organisation: str = "local", role: Role = Role.EDITOR, description: str | None = None
    ) -> tuple[ApiKey, str]:
        """Make a key for one namespace and return it with what is known of it; it cannot be shown again.

        Raises InvalidInput for a name that is not accepted.
        """
        for field, value in (("--namespace", namespace), ("--organisation", organisation)):
            if not _NAME.fullmatch(value):
                raise InvalidInput.of(field, value, _ACCEPTED_NAME)
        name = secrets.token_hex(4)
        token = f"sk_{name}{secrets.token_urlsafe(32)}"
        key = ApiKey(
            prefix=f"sk_{name}",
            internal_id=organisation_id_of(organisation),
            namespace_id=namespace_id_of(namespace),
            user_id=new_user_id(),
            role=role,
            description=description,
            created_at=self._clock.now(),
        )
        self._store.add_key(key, self._digest(token.encode()))
        return key, token

    def authenticate(self, token: bytes) -> ApiKey | None:
        """Return the valid key that the bytes are; None for anything else, in the same time whatever is wrong."""
        prefix = token[:PREFIX_CHARS].decode("latin-1")
        # What cannot be a key costs no look into the store.
        found = self._store.find_key(prefix) if len(token) == _KEY_CHARS and prefix.isascii() else None
        digest = self._digest(token)
        same = hmac.compare_digest(digest, found[1] if found is not None else bytes(len(digest)))
        if found is None or not same or found[0].revoked_at is not None:
            return None
        return found[0]

    def any(self) -> bool:
        """Return whether a key was ever made; revoked ones count, so that revoking the last opens nothing."""
        return self._store.has_keys()

    def list(self) -> tuple[ApiKey, ...]:
        """Return all keys, revoked ones too, oldest first."""
        return tuple(self._store.list_keys())

    def revoke(self, prefix: str) -> ApiKey:
        """Make a key worthless from the next request on; again changes nothing. Raises NotFound.

        Takes the prefix, or the whole key.
        """
        return self._store.revoke_key(prefix[:PREFIX_CHARS], now=self._clock.now())

    def fingerprint(self, request: bytes) -> str:
        """Return what tells two requests apart, and from which nothing of the request can be told."""
        return hmac.new(self._pepper, b"request:" + request, hashlib.sha256).hexdigest()

    def _digest(self, token: bytes) -> bytes:
        # A key has 256 random bits: nobody can guess it from its digest, so that a slow hash would only cost.
        return hmac.new(self._pepper, token, hashlib.sha256).digest()


def owner_of(key: ApiKey) -> Owner:
    """Return the tenant and user that act with the key."""
    return Owner(key.internal_id, key.namespace_id, key.user_id)
