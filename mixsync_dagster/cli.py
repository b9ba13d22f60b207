"""The command line `mixsync`: its entry, and the app that gathers the groups of commands."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated

import typer

from mixsync_dagster.commands import (
    auditing,
    controlling,
    dead_letters,
    defining,
    demonstrating,
    explaining,
    listing,
    running,
    serving,
    setting_up,
    verifying,
)
from mixsync_dagster.commands.failures import ExitStatus, report, say

app = typer.Typer(
    name="mixsync",
    help="Keeps buckets in step with external storage.\n\nBegin with `mixsync demo`, or with `mixsync init`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for group in (
    setting_up,
    demonstrating,
    defining,
    running,
    listing,
    explaining,
    dead_letters,
    controlling,
    verifying,
    serving,
    auditing,
):
    group.register(app)


@app.callback()
def _options(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error was raised; accepted after any command too.")
    ] = False,
) -> None:
    # The flag is taken out of the arguments before they are parsed; it stands here for --help.
    del debug


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and leave with its exit status; never shows a traceback unless asked by --debug."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Set for SIGINT too: a shell starts its background jobs with it ignored.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    debug = "--debug" in arguments
    try:
        status = _invoke([argument for argument in arguments if argument != "--debug"])
    except (KeyboardInterrupt, typer.Abort):
        status = ExitStatus.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the edge of the program: every error becomes a sentence and a status
        if not hasattr(error, "format_message"):
            return report(error, debug=debug)
        say(f"mixsync: {_sentence(error.format_message())} See `mixsync --help`.")
        return ExitStatus.WRONG_INPUT
    return report(KeyboardInterrupt(), debug=debug) if status == ExitStatus.INTERRUPTED else status


def _invoke(arguments: list[str]) -> int:
    try:
        status = app(arguments, prog_name="mixsync", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough. Python would complain once more at its exit without this.
        sys.stdout = None
        return ExitStatus.DONE
    except SystemExit as stop:
        # How typer itself answers a closed pipe.
        return ExitStatus.DONE if isinstance(stop.__context__, BrokenPipeError) else ExitStatus.FAILED
    return status if isinstance(status, int) else ExitStatus.DONE


def _sentence(message: str) -> str:
    text = " ".join(message.split())
    return text if text.endswith((".", "?", "!")) else text + "."


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    # Either signal ends a command as Ctrl-C does: what is under way is left consistent.
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
