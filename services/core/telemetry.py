"""Logs and traces: JSON lines with fields on stdout, W3C trace context on every event, spans by OTLP.

No personal data goes into a log or a span: keys, values and rows never do, positions and identifiers of our own do.

Spans are exported (OTLP/HTTP) where `TONGSHU_OTLP_ENDPOINT` names a collector, or OpenTelemetry's own variables do
(`OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, with headers, sampler and all else that its SDK
reads). Where nothing does, nothing on a road makes a span.
"""

from __future__ import annotations

import logging
import os
import sys
import threading

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import (
    OTEL_EXPORTER_OTLP_ENDPOINT,
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT,
    OTEL_SDK_DISABLED,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.core.seldom import Seldom
from services.core.settings import Settings

_propagator = TraceContextTextMapPropagator()
_exporting = threading.Event()


class _Ids(RandomIdGenerator):
    """Random ids, but for the span that this thread begins with ids of its own."""

    def __init__(self) -> None:
        self.given = threading.local()

    def generate_trace_id(self) -> int:
        return getattr(self.given, "trace_id", 0) or super().generate_trace_id()

    def generate_span_id(self) -> int:
        return getattr(self.given, "span_id", 0) or super().generate_span_id()


_ids = _Ids()


def start(service: str, here: Settings) -> None:
    """Set up logging and tracing of this process, whose spans belong to `tongshu-<service>`."""
    numeric = logging.getLevelNamesMapping()[here.log_level.upper()]
    logging.basicConfig(stream=sys.stdout, level=max(numeric, logging.WARNING), format="%(message)s")
    logging.getLogger("librdkafka").addFilter(Seldom())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    provider = TracerProvider(resource=Resource.create({"service.name": f"tongshu-{service}"}), id_generator=_ids)
    if _collector_is_named(here):
        endpoint = f"{here.otlp_endpoint.rstrip('/')}/v1/traces" if here.otlp_endpoint else None
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
        _exporting.set()
    trace.set_tracer_provider(provider)


def _collector_is_named(here: Settings) -> bool:
    if os.environ.get(OTEL_SDK_DISABLED, "").lower() == "true":
        return False
    standard = (OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)
    return bool(here.otlp_endpoint or any(os.environ.get(name) for name in standard))


def is_exporting() -> bool:
    """Whether spans of this process go anywhere; asked where making them would cost something."""
    return _exporting.is_set()


def begin(
    name: str,
    kind: trace.SpanKind,
    attributes: dict[str, str | int],
    *,
    parent: Context | None = None,
    ids: tuple[int, int] | None = None,
    at: int | None = None,
) -> trace.Span:
    """A span under `parent`; without one the root of a trace, which may be given its `ids` (trace, span).

    Moments are nanoseconds since 1970; a span that is never ended is never told.
    """
    tracer = trace.get_tracer("tongshu")
    # what happens to be current in this thread is no part of the road
    parent = Context() if parent is None else parent
    _ids.given.trace_id, _ids.given.span_id = ids or (0, 0)
    try:
        return tracer.start_span(name, parent, kind, attributes, start_time=at)
    finally:
        _ids.given.trace_id, _ids.given.span_id = 0, 0


def context_in(span: trace.Span) -> Context:
    """The context in which what `span` leads to happens."""
    return trace.set_span_in_context(span, Context())


def traceparent_of(span: trace.Span) -> str:
    """What `span` gives along to who comes next (W3C Trace Context)."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier, context_in(span))
    return carrier["traceparent"]


def current_traceparent() -> str:
    """The `traceparent` of the span we are in; a new trace's where there is none (W3C Trace Context)."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    if "traceparent" not in carrier:
        with trace.get_tracer("tongshu").start_as_current_span("send"):
            _propagator.inject(carrier)
    return carrier["traceparent"]


def context_of(traceparent: str | None) -> Context:
    """The trace context that an event brought along."""
    return _propagator.extract({"traceparent": traceparent} if traceparent else {}, Context())
