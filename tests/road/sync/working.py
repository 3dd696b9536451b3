"""A relay worker as a process of its own: `python -m tests.road.sync.working FOLDER`.

When a file `stop` in its folder says `before` or `after`, it stops itself (SIGSTOP) in the middle of its next
transaction that has records, before or after its offsets are sent, and says so by a file `stopped`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from confluent_kafka import TopicPartition

from services.core import db, telemetry
from services.core.avro import Registry
from services.core.http import stop_at_signals
from services.core.kafka import admin_client
from services.core.settings import settings
from services.sync.relay import transaction
from services.sync.relay.client import Gathered, Writer, writer
from services.sync.relay.followed import Followed
from services.sync.relay.number import Number
from services.sync.relay.worker import Relay


class Stopping:
    """A writer that stops its process when it is told to."""

    def __init__(self, folder: Path, made: Writer) -> None:
        self._folder, self._made, self._delivers = folder, made, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._made, name)

    def deliver(self, topic: str, partition: int, messages: Gathered, traced: tuple[int, str] | None) -> None:
        self._delivers = True
        self._made.deliver(topic, partition, messages, traced)

    def send_offsets(self, offsets: Sequence[TopicPartition], member: Any) -> None:
        told, delivers, self._delivers = self._folder / "stop", self._delivers, False
        asked = told.read_text() if delivers and told.exists() else ""
        if asked == "before":
            self._stop()
        self._made.send_offsets(offsets, member)
        if asked == "after":
            self._stop()

    def _stop(self) -> None:
        self._made.flush()
        (self._folder / "stop").unlink()
        (self._folder / "stopped").touch()
        os.kill(os.getpid(), signal.SIGSTOP)


def main(folder: Path) -> None:
    here, stop = settings(), stop_at_signals()
    telemetry.start("sync", here)
    registry = Registry(here.registry_url)
    transaction.writer = lambda *given: cast(Writer, Stopping(folder, writer(*given)))
    followed = Followed(here, registry)
    followed.start()
    number = Number(db.engine(here, "sync"))
    Relay(here, registry, admin_client(here, "sync"), followed, number, filled=True).run(stop)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
