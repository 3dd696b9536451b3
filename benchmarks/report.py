"""What a benchmark found: figures with units, and ratios to a peer that was measured in the same run.

Machines are shared and noisy: ratios travel from one to another, absolute figures do not.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Figure:
    what: str
    value: float
    unit: str


@dataclass(slots=True)
class Report:
    """Filled while a benchmark runs, then shown and written."""

    bench: str
    figures: list[Figure] = field(default_factory=list)
    ratios: dict[str, float] = field(default_factory=dict)

    def add(self, what: str, value: float, unit: str) -> None:
        self.figures.append(Figure(what, round(value, 3), unit))

    def compare(self, name: str, ours: float, theirs: float) -> None:
        """Keep `ours / theirs` under `name`."""
        self.ratios[name] = round(ours / theirs, 3)

    def as_json(self) -> dict[str, Any]:
        return {
            "bench": self.bench,
            "machine": machine(),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "figures": [asdict(figure) for figure in self.figures],
            "ratios": self.ratios,
        }

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n")

    def show(self, out: Console) -> None:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("figure", overflow="fold")
        table.add_column("value", justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        for figure in self.figures:
            table.add_row(
                figure.what, f"{figure.value:,.6g}" if figure.value < 1_000 else f"{figure.value:,.0f}", figure.unit
            )
        for name, ratio in self.ratios.items():
            table.add_row(name, f"{ratio:,.3g}", "×")
        out.print(table)


def machine() -> str:
    """Enough to know whether two results may be compared."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
