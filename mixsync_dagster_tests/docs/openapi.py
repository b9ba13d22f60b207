"""Writes the API's OpenAPI document from the code: `python -m mixsync_dagster_tests.docs.openapi --write`.

Without `--write` it says whether the committed document is up to date, by its exit status.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mixsync_dagster.api import __file__ as package
from mixsync_dagster.api.app import create_app
from mixsync_dagster.settings import Settings
from mixsync_dagster.wiring import Services

FILE = Path(str(package)).with_name("openapi.json")


def document(folder: Path) -> dict[str, Any]:
    """Return the document of an app on a new state store in the folder."""
    settings = Settings(home=folder / "home", database_url=f"sqlite:///{folder}/home/state.db")
    Services.init(settings)
    with Services.open(settings) as services:
        return create_app(services, open_access=False).openapi()


def written(told: dict[str, Any]) -> str:
    """Return the document as the text that is kept."""
    return json.dumps(told, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main(arguments: Sequence[str]) -> int:
    """Write the document, or compare it. Return 0 when it is, or now is, up to date, else 1."""
    with TemporaryDirectory() as folder:
        text = written(document(Path(folder)))
    if "--write" in arguments:
        FILE.write_text(text, "utf-8")
        return 0
    return int(not FILE.exists() or FILE.read_text("utf-8") != text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
