"""From errors to exit status and one sentence on stderr."""

from __future__ import annotations

import sys
import traceback
from enum import IntEnum

from mixsync_dagster.errors import AlreadyLocked, ConfigurationError, MixsyncError


class ExitStatus(IntEnum):
    """What a command's exit status says; scripts rely on it."""

    DONE = 0
    FAILED = 1
    """Could not do its work, or `verify` found something that is not as it should be."""
    WRONG_INPUT = 2
    FAILED_ITEMS = 3
    """Done, with failed items."""
    SKIPPED = 4
    """Another worker holds the sync."""
    INTERRUPTED = 130
    """Stopped by a signal; the state is consistent."""


class CommandFailed(MixsyncError):
    """A command could not do its work; the message is the sentence to show."""


def say(sentence: str) -> None:
    """Write one line to stderr."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def status_of(error: MixsyncError) -> ExitStatus:
    """Return the exit status of an error raised on purpose."""
    if isinstance(error, AlreadyLocked):
        return ExitStatus.SKIPPED
    if isinstance(error, ConfigurationError):
        return ExitStatus.WRONG_INPUT
    return ExitStatus.FAILED


def report(error: BaseException, *, debug: bool) -> ExitStatus:
    """Tell an error in one sentence, with its traceback when debugging, and return the exit status.

    A traceback shows where things went wrong and no values: messages of foreign errors may hold URLs or bodies.
    """
    if debug:
        say(redacted_traceback(error))
    if isinstance(error, MixsyncError):
        say(f"mixsync: {error}")
        return status_of(error)
    if isinstance(error, KeyboardInterrupt):
        say("mixsync: interrupted; the state is consistent and the next run goes on from it.")
        return ExitStatus.INTERRUPTED
    hint = "" if debug else "; run the command again with --debug to see where"
    say(f"mixsync: an unexpected {type(error).__name__} stopped the command{hint}.")
    return ExitStatus.FAILED


def redacted_traceback(error: BaseException) -> str:
    """Return where an error was raised, frame by frame, without messages of errors that are not ours."""
    lines: list[str] = []
    chain: BaseException | None = error
    while chain is not None:
        told = str(chain) if isinstance(chain, MixsyncError) else "(message withheld)"
        lines.insert(0, f"{type(chain).__module__}.{type(chain).__name__}: {told}")
        lines[0:0] = [line.rstrip() for line in traceback.format_tb(chain.__traceback__)]
        chain = chain.__cause__ or (None if chain.__suppress_context__ else chain.__context__)
    return "\n".join(lines)
