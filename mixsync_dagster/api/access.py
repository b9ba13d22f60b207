"""Who calls: the key, its namespace and role, and what follows from them."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Annotated

from fastapi import Depends, Header, Query, Request
from fastapi.security import HTTPBearer

from mixsync_dagster.api.failures import ApiError, invalid_query
from mixsync_dagster.api.hosts import hosts_of, is_loopback
from mixsync_dagster.api.throttling import RateLimit
from mixsync_dagster.control.checking import SourceCheck, answer_in_time
from mixsync_dagster.control.keys import KeyRing, namespace_id_of, owner_of
from mixsync_dagster.control.owners import LOCAL_OWNER, Owner
from mixsync_dagster.control.tenancy import Tenant, TenantStore
from mixsync_dagster.errors import ProviderUnavailable
from mixsync_dagster.model.api_keys import Role
from mixsync_dagster.model.provider_configs import ProviderConfig
from mixsync_dagster.reaching import check_reach
from mixsync_dagster.wiring import Services

_BEARER = re.compile(rb"bearer +([\x21-\x7e\x80-\xff]{1,256})", re.IGNORECASE)
_UNCOUNTED = frozenset({"/metrics"})
"""Paths that take a key and are asked by machines at their own pace."""
_CHALLENGE = (("WWW-Authenticate", 'Bearer realm="mixsync"'),)

# Only for the OpenAPI document: the header is read as bytes below.
_SCHEME = HTTPBearer(auto_error=False, description="An API key (sk_...), made by `mixsync keys create`.")


CALL = "mixsync_call"
"""Where the scope of a request keeps its Call, once the caller is known."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What the app serves from."""

    services: Services
    keys: KeyRing
    limit: RateLimit
    open_access: bool
    """Whether anybody may act as the local owner for as long as no key was ever made."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request's caller, and what it may use."""

    services: Services
    tenant: Tenant
    role: Role
    key_prefix: str | None = None
    """The beginning of the caller's key; None: no key was needed."""
    made: list[str] = field(default_factory=list)
    """Kind and id of what the request made, for the audit."""

    @property
    def store(self) -> TenantStore:
        """The state store, which knows no tenants: look things up in `tenant` first."""
        return self.services.store

    @property
    def owner(self) -> Owner:
        """On whose behalf the caller acts."""
        return self.tenant.owner

    @property
    def check_source(self) -> SourceCheck:
        """Tries source paths on the caller's behalf: where its organisation's connections may go."""
        return partial(self.services.check_source, internal_id=self.owner.internal_id)

    def check_reach(self, config: ProviderConfig) -> None:
        """Return if the caller's organisation may use the config's hosts and identity. Raises InvalidInput.

        Names that cannot be looked up in the time of a check are left to whoever connects.
        """
        settings = self.services.settings
        look = partial(check_reach, config, settings, self.owner.internal_id)
        with suppress(ProviderUnavailable):
            answer_in_time(look, settings.check_seconds)

    @property
    def now(self) -> datetime:
        """The present."""
        return self.services.clock.now()


def _call(request: Request) -> Call:
    serving: Serving = request.app.state.serving
    if serving.open_access and not serving.keys.any():
        if not all(is_loopback(host) for host in hosts_of(request.scope)):
            # A page of another site, open in a browser on this machine, must not act as its user.
            said = "without a key only requests to and from this machine's own addresses are served; make a key."
            raise ApiError(403, "foreign_host", said)
        owner, role, prefix = LOCAL_OWNER, Role.ADMIN, None
    else:
        given = [value for name, value in request.scope["headers"] if name == b"authorization"]
        match = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
        key = None if match is None else serving.keys.authenticate(match[1])
        if key is None:
            said = "the key is not accepted; give the header Authorization: Bearer sk_... with a valid API key."
            raise ApiError(401, "invalid_key", said, _CHALLENGE)
        if request.scope["route"].path not in _UNCOUNTED:
            serving.limit.count(key.prefix)
        owner, role, prefix = owner_of(key), key.role, key.prefix
    call = Call(serving.services, Tenant(serving.services.store, owner), role, prefix)
    request.scope[CALL] = call
    return call


def _narrowed(
    request: Request,
    call: Annotated[Call, Depends(_call)],
    namespace: Annotated[
        str | None, Header(alias="X-Namespace", description="The key's namespace, by id or name.", max_length=100)
    ] = None,
    namespace_query: Annotated[
        str | None, Query(alias="namespace", description="The same as the header X-Namespace.", max_length=100)
    ] = None,
) -> Call:
    _refuse_unknown(request)
    for asked in (namespace, namespace_query):
        if asked is not None and namespace_id_of(asked) != call.owner.namespace_id:
            raise ApiError(403, "foreign_namespace", "the key does not open this namespace; leave X-Namespace out.")
    return call


def _refuse_unknown(request: Request) -> None:
    """Raise for a query parameter that the operation does not have: it would be ignored."""
    path, method = request.scope["route"].path, request.method.lower()
    told = request.app.openapi()["paths"][path][method].get("parameters", ())
    accepted = sorted(one["name"] for one in told if one["in"] == "query")
    for name in request.query_params:
        if name not in accepted:
            raise invalid_query(name[:100], f"there is no such parameter; the parameters are {', '.join(accepted)}")


def _needing(role: Role, call: Call) -> Call:
    if not call.role.covers(role):
        raise ApiError(403, "role", f"this needs a key with the role {role}, and this one has the role {call.role}.")
    return call


def _viewer(call: Annotated[Call, Depends(_narrowed)], _key: Annotated[object, Depends(_SCHEME)]) -> Call:
    return _needing(Role.VIEWER, call)


def _editor(call: Annotated[Call, Depends(_narrowed)], _key: Annotated[object, Depends(_SCHEME)]) -> Call:
    return _needing(Role.EDITOR, call)


def _admin(call: Annotated[Call, Depends(_narrowed)], _key: Annotated[object, Depends(_SCHEME)]) -> Call:
    return _needing(Role.ADMIN, call)


Viewer = Annotated[Call, Depends(_viewer)]
"""A caller who may read."""
Editor = Annotated[Call, Depends(_editor)]
"""A caller who may also make, change and start syncs and buckets."""
Admin = Annotated[Call, Depends(_admin)]
"""A caller who may also handle connections."""
