"""Logs and traces: JSON lines with fields on stdout, W3C trace context on every event.

No personal data goes into a log: keys, values and rows never do, positions and identifiers of our own do.
"""

from __future__ import annotations

import logging
import sys

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def start(service: str, level: str = "INFO") -> None:
    """Set up logging and tracing of this process, whose spans belong to `tongshu-<service>`."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(stream=sys.stdout, level=max(numeric, logging.WARNING), format="%(message)s")
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
    trace.set_tracer_provider(TracerProvider(resource=Resource.create({"service.name": f"tongshu-{service}"})))


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
    return _propagator.extract({"traceparent": traceparent} if traceparent else {})
