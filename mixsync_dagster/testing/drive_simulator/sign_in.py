"""The simulated sign-in: tokens for a service account's signed assertion, or for a user's refresh token."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

SCOPE = "https://www.googleapis.com/auth/drive.readonly"
CLIENT_EMAIL = "mixsync@example-project.iam.gserviceaccount.com"
OAUTH = {"client_id": "client.apps.example.com", "client_secret": "fake-secret", "refresh_token": "fake-refresh"}
_AUDIENCE = "https://oauth2.googleapis.com/token"
"""What assertions are addressed to, wherever the token endpoint is."""


@cache
def private_key() -> rsa.RSAPrivateKey:
    """Return the service account's key, made once a process."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def private_key_pem() -> str:
    """Return the service account's key as its JSON file would hold it."""
    encoded = private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return encoded.decode("ascii")


@dataclass
class SignIn:
    """Who may have tokens, and which tokens are good."""

    lifetime_seconds: int = 3600
    users: set[str] = field(default_factory=set)
    """Users that the service account may act for."""
    key_valid: bool = True
    consent_valid: bool = True
    issued: int = 0
    """How many tokens were given out."""
    subjects: list[str | None] = field(default_factory=list)
    """For whom they were given out."""
    _good: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    def good(self, token: str) -> bool:
        """Return whether requests may be made with the token."""
        with self._lock:
            return self._good.get(token, 0.0) > time.monotonic()

    def revoke(self) -> None:
        """Make every token given out so far a bad one."""
        with self._lock:
            self._good.clear()

    def answer(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """Return status and body for a token request."""
        grant = form.get("grant_type", "")
        if grant == "refresh_token":
            refused = self._refused_consent(form)
            subject = None
        elif grant.endswith("jwt-bearer"):
            refused, subject = self._refused_assertion(form.get("assertion", ""))
        else:
            refused, subject = "unsupported_grant_type", None
        if refused:
            return 400 if refused != "invalid_client" else 401, {"error": refused, "error_description": "Refused."}
        with self._lock:
            token = f"ya29.fake-{next(self._numbers)}"
            self._good[token] = time.monotonic() + self.lifetime_seconds
            self.issued += 1
            self.subjects.append(subject)
        return 200, {"access_token": token, "expires_in": self.lifetime_seconds, "token_type": "Bearer"}

    def _refused_consent(self, form: dict[str, str]) -> str | None:
        if any(form.get(name) != OAUTH[name] for name in ("client_id", "client_secret")):
            return "invalid_client"
        if form.get("refresh_token") != OAUTH["refresh_token"] or not self.consent_valid:
            return "invalid_grant"
        # Asking for scopes that the consent does not name is refused, even for smaller ones.
        return "invalid_scope" if "scope" in form else None

    def _refused_assertion(self, assertion: str) -> tuple[str | None, str | None]:
        try:
            head, body, signature = assertion.split(".")
            private_key().public_key().verify(
                _decoded(signature), f"{head}.{body}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            claims = json.loads(_decoded(body))
        except (ValueError, InvalidSignature):
            return "invalid_grant", None
        subject = claims.get("sub")
        if not self.key_valid or claims.get("iss") != CLIENT_EMAIL or claims.get("aud") != _AUDIENCE:
            return "invalid_grant", subject
        if subject not in (None, CLIENT_EMAIL) and subject not in self.users:
            return "unauthorized_client", subject
        return (None if claims.get("scope") == SCOPE else "invalid_scope"), subject


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
