"""Connections: under the organisation, and under a shorter path with the same meaning."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from mixsync_dagster.api import answers, requests
from mixsync_dagster.api.access import Admin
from mixsync_dagster.api.bodies import JsonBody, optional, patch, required
from mixsync_dagster.api.operations import operation
from mixsync_dagster.api.paging import Pages, part_of, timed_key, told
from mixsync_dagster.api.repeats import Repeatable
from mixsync_dagster.control import connections
from mixsync_dagster.control.owners import new_connection_id
from mixsync_dagster.model.connections import StorageConnectionCreateRequest, StorageConnectionUpdateRequest
from mixsync_dagster.ports.listing import ConnectionFilter
from mixsync_dagster.wiring import offered

PREFIXES = ("/v1/organizations/connections", "/v1/connections")

_ONE = "/{connection_identifier}"


def routers() -> list[APIRouter]:
    """Return the routes of both paths."""
    return [_router(prefix) for prefix in PREFIXES]


def _router(prefix: str) -> APIRouter:
    router = APIRouter(prefix=prefix, tags=["Connections"])
    operation(
        router,
        "POST",
        "",
        summary="Create a connection, tested before unless test_before_save is false",
        request=StorageConnectionCreateRequest,
        answer=answers.Connection,
        errors=(409,),
    )(create_connection)
    operation(
        router,
        "POST",
        "/list",
        summary="List connections, newest first",
        request=requests.ListConnectionsRequest,
        body_required=False,
        answer=answers.ConnectionList,
        errors=(),
    )(list_connections)
    operation(router, "GET", _ONE, summary="Get a connection by id or name", answer=answers.Connection)(get_connection)
    operation(
        router,
        "PATCH",
        _ONE,
        summary="Change a connection; credential fields that are left out are kept",
        request=StorageConnectionUpdateRequest,
        answer=answers.Connection,
        errors=(404, 409),
    )(update_connection)
    operation(
        router,
        "DELETE",
        _ONE,
        summary="Archive a connection, which cannot come back; its credentials are erased",
        answer=answers.ConnectionDeleted,
        errors=(404, 409),
    )(delete_connection)
    operation(
        router,
        "POST",
        f"{_ONE}/test",
        summary="Test a connection at its provider",
        answer=answers.ConnectionTest,
    )(check_connection)
    return router


def create_connection(call: Admin, body: JsonBody, once: Repeatable) -> Any:
    """Create a connection."""

    def make(connection_id: str) -> dict[str, Any]:
        made = connections.create_connection(
            call.store,
            required(StorageConnectionCreateRequest, body),
            owner=call.owner,
            now=call.now,
            offered=offered(),
            check=call.check_source,
            check_reach=call.check_reach,
            connection_id=connection_id,
        )
        call.made.append(f"connection {made.connection_id}")
        return made.public_dict()

    return once(reserve=new_connection_id, make=make, find=lambda made: call.tenant.connection(made).public_dict())


def list_connections(call: Admin, pages: Pages, body: JsonBody) -> dict[str, Any]:
    """List connections."""
    asked = optional(requests.ListConnectionsRequest, body)
    wanted = ConnectionFilter(asked.provider_type, asked.status, asked.is_active)
    found = call.store.list_connections_part(call.owner.internal_id, wanted, part_of(pages))
    paged = told(pages, found, key=lambda one: timed_key(one.created_at, one.connection_id))
    return {"results": [one.public_dict() for one in found.entries], "pagination": paged, "total": found.total}


def get_connection(call: Admin, connection_identifier: str) -> dict[str, Any]:
    """Return a connection."""
    return call.tenant.connection(connection_identifier).public_dict()


def update_connection(call: Admin, connection_identifier: str, body: JsonBody) -> dict[str, Any]:
    """Change a connection."""
    found = call.tenant.connection(connection_identifier)
    update = patch(StorageConnectionUpdateRequest, body)
    changed = connections.update_connection(call.store, found, update, now=call.now, check_reach=call.check_reach)
    return changed.public_dict()


def delete_connection(call: Admin, connection_identifier: str) -> dict[str, str]:
    """Archive a connection; all values are text, for the vendor's client declares them so."""
    found = call.tenant.connection(connection_identifier)
    call.store.delete_connection(found.connection_id)
    return {"message": "Connection archived", "connection_id": found.connection_id}


def check_connection(call: Admin, connection_identifier: str) -> dict[str, Any]:
    """Test a connection; one that fails its test is an answer, not an error."""
    found = call.tenant.usable_connection(connection_identifier)
    tested = connections.check_stored(
        call.store,
        found,
        config_of=call.services.connection_config,
        check=call.check_source,
        within=call.owner.namespace,
    )
    details = None if tested.source_path is None else {"source_path": tested.source_path}
    return {"success": tested.success, "message": tested.message, "details": details}
