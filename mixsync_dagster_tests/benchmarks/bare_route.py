"""A FastAPI app with one route that does nothing, served as `mixsync api` is: what a request costs at least.

`python -m mixsync_dagster_tests.benchmarks.bare_route PORT`
"""

from __future__ import annotations

import sys

import uvicorn
from fastapi import FastAPI

app = FastAPI()


@app.get("/bare")
def bare() -> dict[str, str]:
    """Answer, from a thread as the API's routes do."""
    return {"status": "ok"}


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(sys.argv[1]),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
    )
