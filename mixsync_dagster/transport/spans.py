"""Spans by OpenTelemetry, sent to a collector over HTTP in the background."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Self

from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from mixsync_dagster.ports.spans import Span, Value

_SERVICE = "mixsync"


class OtelSpan:
    """A Span of OpenTelemetry."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def rename(self, name: str) -> None:
        """Give it another name."""
        self._span.update_name(name)

    def tell(self, name: str, value: Value) -> None:
        """Add an attribute."""
        self._span.set_attribute(name, value)


class OtelSpans:
    """Spans that an exporter sends on; what is left is sent when the process ends."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer(_SERVICE)

    @classmethod
    def to_collector(cls, url: str) -> Self:
        """Return spans that go to an OTLP collector at this URL."""
        # It brings a client for HTTP of its own: nothing of it is loaded unless it is used.
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        provider = _provider()
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
        return cls(provider)

    @classmethod
    def to_exporter(cls, exporter: SpanExporter) -> Self:
        """Return spans that are handed to an exporter at once."""
        provider = _provider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        return cls(provider)

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
        """See `Spans.span`."""
        context = None if trace.get_current_span().get_span_context().is_valid else _above(run, traceparent)
        started = self._tracer.start_span(
            name,
            context=context,
            kind=SpanKind.INTERNAL if traceparent is None else SpanKind.SERVER,
            attributes=dict(attributes),
        )
        # Messages and tracebacks may hold what others wrote: nothing of an exception is recorded but its class.
        entered = trace.use_span(started, record_exception=False, set_status_on_exception=False)
        with entered if around else nullcontext():
            try:
                yield OtelSpan(started)
            except BaseException as error:
                if not isinstance(error, GeneratorExit):
                    started.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise
            finally:
                started.end()


def _provider() -> TracerProvider:
    return TracerProvider(resource=Resource.create({"service.name": _SERVICE}))


def _above(run: str | None, traceparent: str | None) -> Context | None:
    """Return the context that a span without another one around it belongs to; None for a trace of its own."""
    if traceparent:
        return TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    if run is None:
        return None
    # The same in every process, so that the steps of a run find each other without a word between them.
    digest = hashlib.sha256(run.encode("utf-8", "surrogatepass")).digest()
    numbers = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    parent = SpanContext(*numbers, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    return trace.set_span_in_context(NonRecordingSpan(parent))
