"""What every request passes: an id, bounds of its headers, and the last handler of errors."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixsync_dagster.api.failures import error_answer
from mixsync_dagster.errors import MixsyncError

MAX_HEADERS_BYTES = 16 * 1024
MAX_HEADERS = 100

_LOG = logging.getLogger(__name__)
_ALWAYS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")


class AnswerBroken(MixsyncError):
    """An answer could not be sent to its end."""


class Gate:
    """The outermost layer of the app."""

    def __init__(
        self, app: ASGIApp, *, count: Callable[[Scope, int], None], record: Callable[[Scope, int], None]
    ) -> None:
        self._app = app
        self._count = count
        self._record = record

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever goes wrong becomes an answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope["mixsync_request_id"] = request_id
        answered = 0

        async def send_with_id(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = message["status"]
                if scope["method"] != "GET":
                    # Before it is told: who has an answer is in the record.
                    await run_in_threadpool(self._record, scope, answered)
                given = {name.lower() for name, _ in message["headers"]}
                added = ((b"x-request-id", request_id.encode()), *_ALWAYS)
                message["headers"] = [*message["headers"], *(one for one in added if one[0] not in given)]
            await send(message)

        refusal = _refusal(scope)
        if refusal is not None:
            status, code, said = refusal
            await error_answer(request_id, status, code, said)(scope, receive, send_with_id)
        else:
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:  # noqa: BLE001 - the edge of the program: a client never sees a traceback
                # Neither message nor traceback: they may hold values.
                _LOG.error("request %s met an unexpected %s at %s", request_id, type(error).__name__, _place(error))
                if answered:
                    # The connection ends in the middle, so that nobody takes the part for the whole.
                    raise AnswerBroken from None
                said = "the request could not be done; the log of the server says why."
                await error_answer(request_id, 500, "internal", said)(scope, receive, send_with_id)
        self._count(scope, answered)


def _refusal(scope: Scope) -> tuple[int, str, str] | None:
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS or sum(len(name) + len(value) for name, value in headers) > MAX_HEADERS_BYTES:
        said = f"the headers are too large; give at most {MAX_HEADERS}, of {MAX_HEADERS_BYTES} bytes together."
        return 431, "headers_too_large", said
    return None


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value.decode("ascii"))
    return f"req_{secrets.token_hex(8)}"


def _place(error: BaseException) -> str:
    trace, place = error.__traceback__, "?"
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
