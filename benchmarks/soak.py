"""`./tongshu bench soak`: steady changes for an hour, and what the memory of each part does meanwhile.

What fills at first (caches, heaps that grow to their bound) is no growth, so the second quarter of the time is compared
with the last. Deliveries are compared with the sources at the end, as everywhere.
"""

from __future__ import annotations

import time
from collections import defaultdict
from statistics import median

import psutil

from benchmarks.report import Report
from benchmarks.road import changing, consuming, require_equal
from cli.exchange import Exchange
from infra.embedded.supervisor import read_status

_LOOK_SECONDS = 5.0
_MIB = 1024**2


def run(report: Report, exchange: Exchange, *, minutes: float, rate: float) -> None:
    """Measure on a running exchange with samples, on which nothing else happens."""
    held: dict[str, list[float]] = defaultdict(list)
    with consuming(exchange) as (server, running):
        with changing(server, rate) as done:
            begun = time.monotonic()
            while (elapsed := time.monotonic() - begun) < minutes * 60:
                for part, size in _resident(exchange).items():
                    held[part].append(size / _MIB)
                for one in running:
                    one.update()
                    one.latencies.clear()
                time.sleep(_LOOK_SECONDS)
            changed = done()
        require_equal(exchange, server, running)
    report.add("changes", changed, "")
    report.add("changes at the sources", changed / elapsed, "1/s")
    for part, sizes in sorted(held.items()):
        quarter = max(1, len(sizes) // 4)
        early, late = median(sizes[quarter : 2 * quarter] or sizes), median(sizes[-quarter:])
        report.add(f"memory of {part}, second quarter", early, "MiB")
        report.add(f"memory of {part}, last quarter", late, "MiB")
        report.compare(f"memory_of_{part}_last_over_second_quarter", late, early)


def _resident(exchange: Exchange) -> dict[str, int]:
    """Resident memory of each part with its children, in bytes; pages that several share are counted once (PSS)."""
    found: dict[str, int] = {}
    for part in (read_status(exchange.home) or {"parts": []})["parts"]:
        if part["pid"] is None:
            continue
        try:
            process = psutil.Process(part["pid"])
            found[part["name"]] = sum(
                one.memory_full_info().pss for one in (process, *process.children(recursive=True))
            )
        except psutil.Error:
            continue
    return found
