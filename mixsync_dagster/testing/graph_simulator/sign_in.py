"""The sign-in service: discovery, tokens that end, and refusals with Microsoft's numbers."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT_ID = "66666666-7777-8888-9999-000000000000"
CLIENT_SECRET = "simulated-secret-of-no-value"  # noqa: S105 - opens nothing
REFRESH_TOKEN = "simulated-refresh-token-of-no-value"  # noqa: S105 - opens nothing


class SignIn:
    """Hands out tokens; those of this simulator are taken until they are revoked. Thread-safe."""

    def __init__(self) -> None:
        self.roles: tuple[str, ...] = ("Sites.Read.All",)
        """What an administrator has granted."""
        self.lifetime_seconds = 3600
        self.certificate: str | None = None
        """PEM certificate that is registered with the application."""
        self.rotated_refresh_token: str | None = None
        """Handed out with every token of a user, as a successor."""
        self.keeps_old_refresh_token = True
        """Whether the first refresh token is still taken beside its successor, as the real service does."""
        self._lock = threading.Lock()
        self._valid: dict[str, bool] = {}
        self._issued = 0

    @property
    def issued(self) -> int:
        """How many tokens were handed out."""
        return self._issued

    def revoke(self) -> None:
        """Take none of the tokens handed out so far any more."""
        with self._lock:
            self._valid.clear()

    def admits(self, authorization: str | None) -> bool:
        """Return whether a request's Authorization header holds a token that is taken."""
        with self._lock:
            return authorization is not None and authorization.removeprefix("Bearer ") in self._valid

    def delegated(self, authorization: str | None) -> bool:
        """Return whether a token that is taken is a user's."""
        with self._lock:
            return self._valid.get((authorization or "").removeprefix("Bearer "), False)

    def discovery(self, tenant: str, host: str) -> tuple[int, dict[str, Any]]:
        """Return status and body of a tenant's discovery document, which names https addresses only."""
        if tenant not in (TENANT, "common"):
            return 400, {"error": "invalid_tenant", "error_codes": [90002]}
        base = f"https://{host}/{tenant}"
        return 200, {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }

    def token(self, form_text: str) -> tuple[int, dict[str, Any]]:
        """Return status and body for a form that asks for a token."""
        form = {name: values[0] for name, values in parse_qs(form_text).items()}
        if form.get("client_id") != CLIENT_ID:
            return 400, _refusal("unauthorized_client", 700016)
        if "client_assertion" in form:
            if not self._proven(form["client_assertion"]):
                return 401, _refusal("invalid_client", 700027)
        elif form.get("client_secret") != CLIENT_SECRET:
            return 401, _refusal("invalid_client", 7000215)
        by_user = form.get("grant_type") == "refresh_token"
        if by_user and form.get("refresh_token") not in self._refresh_tokens():
            return 400, _refusal("invalid_grant", 70000)
        with self._lock:
            self._issued += 1
            claims = {"scp": " ".join(self.roles)} if by_user else {"roles": list(self.roles)}
            token = ".".join(_encoded(part) for part in ({"alg": "none"}, {**claims, "n": self._issued}, "simulated"))
            self._valid[token] = by_user
        answer = {"token_type": "Bearer", "expires_in": self.lifetime_seconds, "access_token": token}
        if by_user:
            answer["refresh_token"] = self.rotated_refresh_token or REFRESH_TOKEN
        return 200, answer

    def _proven(self, assertion: str) -> bool:
        """Return whether an assertion was signed with the key of the registered certificate."""
        import jwt
        from cryptography import x509

        if self.certificate is None:
            return False
        key: Any = x509.load_pem_x509_certificate(self.certificate.encode()).public_key()
        try:
            claims = jwt.decode(assertion, key, algorithms=["PS256", "RS256"], options={"verify_aud": False})
        except jwt.InvalidTokenError:
            return False
        return claims.get("sub") == CLIENT_ID and str(claims.get("aud")).endswith(f"/{TENANT}/oauth2/v2.0/token")

    def _refresh_tokens(self) -> set[str | None]:
        first = {REFRESH_TOKEN} if self.keeps_old_refresh_token or not self._issued else set()
        return {*first, self.rotated_refresh_token} - {None}


def _refusal(error: str, number: int) -> dict[str, Any]:
    return {"error": error, "error_description": f"AADSTS{number}: simulated", "error_codes": [number]}


def _encoded(part: Mapping[str, Any] | str) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
