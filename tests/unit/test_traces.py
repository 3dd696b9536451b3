"""Traces: an id that follows from the change, and spans that go where they are told to, else nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from services.sync.tracing import ids_of
from tests.collector import collecting
from tests.conftest import ROOT

_PROGRAM = """
from opentelemetry.trace import SpanKind
from services.core import telemetry
from services.core.settings import Settings

telemetry.start("x", Settings())
if telemetry.is_exporting():
    root = telemetry.begin("commit", SpanKind.INTERNAL, {}, ids=(0xABC, 0xDEF), at=1_000)
    telemetry.begin("send", SpanKind.PRODUCER, {"a": 1}, parent=telemetry.context_in(root), at=2_000).end(3_000)
    root.end(2_000)
print(telemetry.is_exporting())
"""


def test_the_id_of_a_changes_trace_is_what_others_compute_it_to_be() -> None:
    # printf '%s\0' 'tongshu trace' residents 00000000001a2b3c, then 1764380096123456, through sha256sum
    at = datetime(2025, 11, 29, 1, 34, 56, 123456, tzinfo=UTC)
    trace, span = ids_of("residents", "00000000001a2b3c", at)
    assert (f"{trace:032x}", f"{span:016x}") == ("3011c9f048414d2975ebfc6f1f60b184", "ae0a56dfd6255592")


@pytest.mark.parametrize("named_by", ["TONGSHU_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT", "nothing"])
def test_spans_go_to_the_collector_that_is_named_when_a_process_ends(named_by: str) -> None:
    with collecting() as collector:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), named_by: collector.url}
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=True
        )
        spans = collector.trace(f"{0xABC:032x}")
    assert done.stdout.strip() == str(named_by != "nothing")
    told = [(span.service, span.name, span.id == f"{0xDEF:016x}", span.parent, span.start, span.end) for span in spans]
    assert told == ([
        ("tongshu-x", "commit", True, "", 1_000, 2_000), ("tongshu-x", "send", False, f"{0xDEF:016x}", 2_000, 3_000),
    ] if named_by != "nothing" else [])  # fmt: skip
