"""The app: its routes, its errors and what every request passes."""

from __future__ import annotations

from functools import partial

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from mixsync_dagster.api import (
    analytics,
    batches,
    blobs,
    browsing,
    buckets,
    connections,
    explaining,
    failures,
    jobs,
    syncs,
    watching,
)
from mixsync_dagster.api.access import Serving
from mixsync_dagster.api.failures import ApiError
from mixsync_dagster.api.gate import Gate
from mixsync_dagster.api.openapi import describe
from mixsync_dagster.api.pages import add_pages
from mixsync_dagster.api.recorded import record
from mixsync_dagster.api.throttling import RateLimit
from mixsync_dagster.api.traced import Traced
from mixsync_dagster.control.auditing import Recorder
from mixsync_dagster.errors import MixsyncError
from mixsync_dagster.telemetry import spans_for
from mixsync_dagster.wiring import Services

VERSION = "1"
"""Version of the API, which grows without breaking those that use it."""


def create_app(services: Services, *, open_access: bool) -> FastAPI:
    """Return the app on open services, which the caller closes after it.

    With `open_access`, for a server on a loopback address only, anybody may act as the local owner until the first key
    is made, from this machine's own addresses. Raises ConfigurationError.
    """
    keys = services.open_keys()
    limit = RateLimit(services.settings.api_requests_per_minute, services.clock)
    app = FastAPI(title="mixsync", version=VERSION, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.serving = Serving(services, keys, limit, open_access)
    app.state.counter = watching.RequestCounter()
    for router in (
        *connections.routers(),
        *browsing.routers(),
        syncs.router,
        jobs.router,
        explaining.router,
        buckets.router,
        batches.router,
        blobs.router,
        analytics.router,
        watching.router,
    ):
        app.include_router(router)
    add_pages(app)
    app.add_exception_handler(MixsyncError, failures.answer_mixsync_error)
    app.add_exception_handler(ApiError, failures.answer_api_error)
    app.add_exception_handler(HTTPException, failures.answer_http_exception)
    app.add_exception_handler(RequestValidationError, failures.answer_bad_parameters)
    if services.settings.traces_url is not None:
        app.add_middleware(Traced, spans=spans_for(services.settings))
    recorder = Recorder(services.store, services.clock, days=services.settings.audit_days)
    app.add_middleware(Gate, count=app.state.counter, record=partial(record, recorder))
    app.openapi = partial(describe, app)  # type: ignore[method-assign]  # how FastAPI says to do it
    return app
