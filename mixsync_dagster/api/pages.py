"""The page /docs: Swagger UI, with all that it is made of served from here.

FastAPI's own page loads its parts from a public network, which a server that keeps files at night may not reach.
"""

from __future__ import annotations

from pathlib import Path

import fastapi_offline
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

PAGE = "/docs"
_PARTS = f"{PAGE}/parts"
_FOLDER = Path(fastapi_offline.__file__).parent / "static"


def add_pages(app: FastAPI) -> None:
    """Let the app serve the page and its parts; the app's own page has to be off."""

    def page() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url=app.openapi_url or "",
            title=f"{app.title} API",
            swagger_js_url=f"{_PARTS}/swagger-ui-bundle.js",
            swagger_css_url=f"{_PARTS}/swagger-ui.css",
            swagger_favicon_url=f"{_PARTS}/favicon.png",
        )

    app.mount(_PARTS, StaticFiles(directory=_FOLDER))
    app.add_api_route(PAGE, page, include_in_schema=False)
