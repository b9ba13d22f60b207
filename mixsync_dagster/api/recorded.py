"""What the API records of a request: every change that a caller with a key made, or was refused."""

from __future__ import annotations

import logging
import re

from starlette.types import Scope

from mixsync_dagster.api.access import CALL, Call
from mixsync_dagster.control.auditing import Recorder
from mixsync_dagster.errors import StoreUnavailable

_LOG = logging.getLogger(__name__)
_READS = ("list_", "plan")
_TOO_MANY = 429
_ID = re.compile(r"[A-Za-z0-9._-]{1,100}")
_KINDS = {
    "connection_identifier": "connection",
    "bucket_id": "bucket",
    "sync_config_id": "sync",
    "sync_job_id": "job",
    "object_id": "object",
    "batch_id": "batch",
}


def changes(scope: Scope) -> bool:
    """Return whether a request asks for a change, or, as testing a connection does, for more than a look."""
    name = getattr(getattr(scope.get("route"), "endpoint", None), "__name__", "")
    return scope["method"] != "GET" and name != "" and not name.startswith(_READS)


def record(recorder: Recorder, scope: Scope, status: int) -> None:
    """Record a request that asked for a change, before it is answered; one without a key, or too many, is not.

    What cannot be recorded is told by the log, for the change itself is done.
    """
    call = scope.get(CALL)
    if not isinstance(call, Call) or status == _TOO_MANY or not changes(scope):
        return
    try:
        recorder.record(
            scope["route"].endpoint.__name__,
            _resource(scope, call),
            owner=call.owner,
            key_prefix=call.key_prefix,
            origin="api",
            status=status,
            request_id=scope.get("mixsync_request_id"),
        )
    except StoreUnavailable:
        _LOG.error("request %s could not be recorded in the audit", scope.get("mixsync_request_id"))


def _resource(scope: Scope, call: Call) -> str | None:
    # A path holds what the caller wrote: only what can be an id or a name of ours is kept.
    named = [
        f"{_KINDS[name]} {value if _ID.fullmatch(value) else '?'}"
        for name, value in scope.get("path_params", {}).items()
        if name in _KINDS
    ]
    return " ".join([*named, *call.made]) or None
