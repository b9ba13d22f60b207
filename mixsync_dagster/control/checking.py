"""Trying connections and source paths at their providers before they are saved, in bounded time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Protocol, TypeVar

from mixsync_dagster.control.yaml_files import Definition
from mixsync_dagster.errors import FieldProblem, MixsyncError, PathNotFound, ProviderUnavailable
from mixsync_dagster.model.provider_configs import ProviderConfig

CHECKS_AT_ONCE = 16
"""Tests at the same time: they wait for the network, not for this process."""

_UNTESTED = "--no-check applies it untested"

_SENTENCE = re.compile(r"[A-Z][a-z]+ ")
"""How a message begins that goes on as a part of another sentence: with a word, not with a name such as a host's."""

Answer = TypeVar("Answer")


class SourceCheck(Protocol):
    """Tries one source path; it ends within a time that its maker promises."""

    def __call__(self, config: ProviderConfig, source_path: str, *, provider_filters: Mapping[str, Any] | None) -> None:
        """Return if the path can be listed with the config, whose credentials hold values; raises as `Provider.check`.

        Called from many threads at once. Raises ProviderUnavailable when the time is over.
        """
        ...


@dataclass(frozen=True, slots=True)
class SourceTest:
    """One source path to try before anything is saved, and the definitions that its failure is told at."""

    connection: str
    """The connection's name."""
    connection_definition: Definition | None
    """None: the connection is stored already and no file defines it."""
    sync_definition: Definition | None
    """None: the path is that of a stored sync."""
    config: ProviderConfig
    source_path: str
    provider_filters: Mapping[str, Any] | None


def answer_in_time(ask: Callable[[], Answer], seconds: float) -> Answer:
    """Return the answer of `ask`, or raise what it raises; ProviderUnavailable when it takes longer.

    What is late goes on in a thread that ends with the process; nothing waits for it.
    """
    answers: list[Answer] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            answers.append(ask())
        except BaseException as error:  # noqa: BLE001 - carried over to the caller, which raises it
            errors.append(error)

    # A daemon thread: a provider's own timeouts are longer, and name resolution has none at all.
    thread = Thread(target=run, name="mixsync-check", daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not answers:
        raise ProviderUnavailable(f"There was no answer within {seconds:g} seconds (MIXSYNC_CHECK_SECONDS).")
    return answers[0]


def failed_tests(tests: Sequence[SourceTest], check: SourceCheck) -> list[FieldProblem]:
    """Run the tests, many at once, and return one problem for each connection or source path that fails.

    A connection that fails on its first path for another reason than the path itself is not tried on the others.
    """
    first: dict[str, SourceTest] = {}
    for test in tests:
        first.setdefault(test.connection, test)
    begun = list(first.values())
    errors = dict(zip(map(id, begun), _errors(begun, check), strict=True))
    usable = {test.connection for test in begun if isinstance(errors[id(test)], PathNotFound | None)}
    others = [test for test in tests if id(test) not in errors and test.connection in usable]
    errors |= zip(map(id, others), _errors(others, check), strict=True)
    # Many syncs of a connection fail for one reason, which is told once.
    problems: dict[str, FieldProblem] = {}
    for test in tests:
        error = errors.get(id(test))
        if error is not None:
            problem = _problem(test, error)
            problems.setdefault(problem.field, problem)
    return list(problems.values())


def run_all(checks: Sequence[Callable[[], object]]) -> list[MixsyncError | None]:
    """Call every check, many at once, and return what each raised of our errors, in their order; None for nothing."""
    results: list[MixsyncError | None] = [None] * len(checks)
    slips: list[Exception] = []
    waiting: SimpleQueue[int] = SimpleQueue()
    for index in range(len(checks)):
        waiting.put(index)

    def work() -> None:
        with suppress(Empty):
            while not slips:
                index = waiting.get_nowait()
                try:
                    checks[index]()
                except MixsyncError as error:
                    results[index] = error
                except Exception as error:  # noqa: BLE001 - carried over to the caller, which raises it
                    slips.append(error)

    # Daemon threads, which an executor's are not: Ctrl-C ends the command without waiting for an answer.
    threads = [Thread(target=work, name="mixsync-checks", daemon=True) for _ in checks[:CHECKS_AT_ONCE]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if slips:
        raise slips[0]
    return results


def _errors(tests: Sequence[SourceTest], check: SourceCheck) -> list[MixsyncError | None]:
    return run_all([partial(check, t.config, t.source_path, provider_filters=t.provider_filters) for t in tests])


def _problem(test: SourceTest, error: MixsyncError) -> FieldProblem:
    """Return the failure as a sentence: at the sync's source path when that is missing, else at the connection."""
    reason = str(error).removeprefix("source_path: ").rstrip(".")
    if _SENTENCE.match(reason):
        reason = reason[0].lower() + reason[1:]
    if isinstance(error, PathNotFound) and test.sync_definition is not None:
        said = f": {test.source_path} did not pass its test: {reason}; {_UNTESTED}."
        return test.sync_definition.problem(("source_path",), test.source_path, "a path that exists", said)
    said = f" did not pass its test on {test.source_path}: {reason}; {_UNTESTED}."
    accepted = "a connection that can list its syncs' source paths"
    if test.connection_definition is not None:
        return test.connection_definition.problem((), test.source_path, accepted, said)
    if test.sync_definition is not None:
        said = f": the stored connection {test.connection}{said}"
        return test.sync_definition.problem(("connection_id",), test.source_path, accepted, said)
    field = f"connections.{test.connection}"
    return FieldProblem(field, test.source_path, accepted, f"{field}{said}")
