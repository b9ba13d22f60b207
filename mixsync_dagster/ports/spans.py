"""Spans: what was done from when to when, for those who follow requests and runs through several processes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Value = str | int | float | bool


class Span(Protocol):
    """Something that is being done."""

    def rename(self, name: str) -> None:
        """Give it another name."""
        ...

    def tell(self, name: str, value: Value) -> None:
        """Add an attribute; never a secret, nor anything that others wrote."""
        ...


class Spans(Protocol):
    """Where spans are told to. Telling them never fails and never waits."""

    def span(
        self,
        name: str,
        attributes: Mapping[str, Value],
        *,
        run: str | None = None,
        traceparent: str | None = None,
        around: bool = True,
    ) -> AbstractContextManager[Span]:
        """Give a span that lasts as long as the block, inside of the one around it.

        Without one around it, it belongs to what `traceparent` (the header of W3C Trace Context) names, else to the
        trace of the run with the id `run`, which is the same in every process. What the block raises is told by its
        class alone. With `around` False, what is done in the block is no part of it: for blocks of generators.
        """
        ...


class SilentSpan:
    """A Span that nobody hears of."""

    def rename(self, name: str) -> None:
        """Do nothing."""

    def tell(self, name: str, value: Value) -> None:
        """Do nothing."""


class SilentSpans:
    """Spans that nobody hears of."""

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, Value],
        *,
        run: str | None = None,
        traceparent: str | None = None,
        around: bool = True,
    ) -> Iterator[Span]:
        """Give a silent span."""
        del name, attributes, run, traceparent, around
        yield SilentSpan()
