"""`mixsync init`: everything that has to be there before the first sync."""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import typer

from mixsync_dagster.commands.shared import JsonFlag

if TYPE_CHECKING:
    from pathlib import Path

    from mixsync_dagster.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("init", epilog="Example: `MIXSYNC_HOME=/var/lib/mixsync mixsync init`")(init)


def init(json_output: JsonFlag = False) -> None:
    """Create or upgrade the state store, the key file and the Dagster instance.

    Safe to repeat, and to run twice at once. The folder is MIXSYNC_HOME, by default ./.mixsync.
    """
    from mixsync_dagster.commands import output
    from mixsync_dagster.settings import Settings, dagster_home

    settings = Settings.load()
    facts = prepare(settings, instance=dagster_home() or settings.dagster_dir)
    if json_output:
        output.print_json(facts)
        return
    output.print_facts(
        {
            "home": facts["home"],
            "state store": facts["state_store"],
            "secret key": facts["secret_key"],
            "blobs": facts["blobs"],
            "Dagster instance": facts["dagster_home"],
        }
    )
    output.print_line("")
    output.print_line("Next:")
    output.print_line("  mixsync apply FOLDER            connections, buckets and syncs from YAML files")
    output.print_line("  mixsync run SYNC                one run in the foreground")
    output.print_line(f"  export DAGSTER_HOME={facts['dagster_home']}")
    output.print_line("  dagster dev -m mixsync_dagster.definitions     the Dagster UI and the daemon")


def prepare(settings: Settings, *, instance: Path) -> dict[str, str]:
    """Make everything that `settings` name, and the Dagster instance; return where it is. Repeats change nothing."""
    from mixsync_dagster.home import locked
    from mixsync_dagster.orchestration.instance import prepare_instance
    from mixsync_dagster.wiring import Services

    Services.init(settings)
    # Dagster tells of its tables on stdout, which is for this command's own words.
    with locked(settings.home), contextlib.redirect_stdout(io.StringIO()):
        prepare_instance(instance)
    return {
        "home": str(settings.home),
        "state_store": public_url(settings.database_url),
        "secret_key": "from MIXSYNC_SECRET_KEY" if settings.secret_key else str(settings.key_file),
        "blobs": settings.blob_url or str(settings.blobs_dir),
        "dagster_home": str(instance),
    }


def public_url(url: str) -> str:
    """Return a database URL without user and password."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return url if "@" not in parts.netloc else f"{parts.scheme}://{parts.netloc.rsplit('@', 1)[1]}{parts.path}"
