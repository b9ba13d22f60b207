"""Folders and files of Google Drive connections, for people who choose a source path."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from mixsync_dagster.api import answers
from mixsync_dagster.api.access import Admin, Call
from mixsync_dagster.api.connections import PREFIXES
from mixsync_dagster.api.operations import operation
from mixsync_dagster.control import browsing
from mixsync_dagster.errors import ConfigurationError
from mixsync_dagster.model.connections import StorageConnection
from mixsync_dagster.model.provider_configs import ProviderType
from mixsync_dagster.ports.provider import Provider

_ONE = "/{connection_identifier}"
_TOP = "/"

FolderPath = Annotated[
    str, Query(min_length=1, max_length=4096, description="The folder to look into, by path or id; / is the top.")
]


def routers() -> list[APIRouter]:
    """Return the routes of both paths."""
    return [_router(prefix) for prefix in PREFIXES]


def _router(prefix: str) -> APIRouter:
    router = APIRouter(prefix=prefix, tags=["Connections"])
    operation(
        router,
        "GET",
        f"{_ONE}/folders",
        summary="List the folders in a folder of a Google Drive connection",
        answer=answers.FolderList,
    )(list_folders)
    operation(
        router,
        "GET",
        f"{_ONE}/files",
        summary="List some files in a folder of a Google Drive connection",
        answer=answers.FileList,
    )(list_files)
    return router


def list_folders(call: Admin, connection_identifier: str, path: FolderPath = _TOP) -> dict[str, Any]:
    """List folders; none for a folder that is not there."""
    found = call.tenant.usable_connection(connection_identifier)
    seconds = call.services.settings.check_seconds
    folders = browsing.folders(lambda: _provider(call, found, path), seconds)
    results = [
        {"id": one.identifier, "name": one.name, "path": one.source_path, "mime_type": one.mime_type} for one in folders
    ]
    return {"results": results, "parent_path": path}


def list_files(
    call: Admin,
    connection_identifier: str,
    path: FolderPath = _TOP,
    max_results: Annotated[int, Query(ge=1, le=100, description="Most files to tell.")] = 50,
) -> dict[str, Any]:
    """List files."""
    found = call.tenant.usable_connection(connection_identifier)
    seconds = call.services.settings.check_seconds
    files, more = browsing.files(lambda: _provider(call, found, path), seconds, limit=max_results)
    results = [
        {
            "id": one.identifier,
            "name": one.name,
            "mime_type": one.mime_type,
            "size_bytes": one.size_bytes,
            "modified_at": None if one.modified_at is None else one.modified_at.isoformat(),
        }
        for one in files
    ]
    return {"results": results, "parent_path": path, "has_more": more}


def _provider(call: Call, connection: StorageConnection, path: str) -> Provider:
    # Said before anything is asked: a path of a Drive means nothing to another provider.
    if connection.provider_type is not ProviderType.GOOGLE_DRIVE:
        told = f"connection {connection.name} is of {connection.provider_type}; only google_drive shows its folders."
        raise ConfigurationError(told)
    return call.services.provider_for(connection.connection_id, path)
