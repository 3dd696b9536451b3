"""What a set-up shows while it downloads: one bar a title on a terminal, one line a title where there is none."""

import threading
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from infra.embedded.jars import Advance


class Bars:
    """Progress of several downloads, summed by title. `of(title)` may be called and advanced from any thread."""

    def __init__(self, report: Console, files: list[tuple[str, int]]) -> None:
        self.report = report
        self.left: dict[str, int] = {}
        for title, size in files:
            self.left[title] = self.left.get(title, 0) + size
        self.turn = threading.Lock()
        self.live = report.is_terminal
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=report,
            disable=not self.live,
        )
        self.tasks: dict[str, TaskID] = {
            title: self.progress.add_task(title, total=size) for title, size in self.left.items()
        }

    def __enter__(self) -> "Bars":
        if not self.live:
            for title, size in self.left.items():
                self.report.print(f"{title}: bringing {size / 1e6:.1f} MB")
        self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.stop()

    def of(self, title: str) -> Advance:
        def advance(size: int) -> None:
            self.progress.advance(self.tasks[title], size)
            with self.turn:
                self.left[title] -= size
                over = size > 0 and self.left[title] == 0
            if over and not self.live:
                self.report.print(f"{title}: here")

        return advance
