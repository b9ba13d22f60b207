"""A span for every request: its operation, its id and how it was answered."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mixsync_dagster.ports.spans import Spans

_HEADER = b"traceparent"


class Traced:
    """A layer of the app inside of the gate. Attributes hold no value of a request, but its method and its id."""

    def __init__(self, app: ASGIApp, *, spans: Spans) -> None:
        self._app = app
        self._spans = spans

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = {
            "http.request.method": scope["method"],
            "mixsync.request_id": str(scope.get("mixsync_request_id", "")),
        }
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER), "")
        with self._spans.span(scope["method"], told, traceparent=given) as span:

            async def send_and_tell(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.tell("http.response.status_code", message["status"])
                await send(message)

            try:
                await self._app(scope, receive, send_and_tell)
            finally:
                route = getattr(scope.get("route"), "path", None)
                if route is not None:
                    span.rename(f"{scope['method']} {route}")
                    span.tell("http.route", route)
