"""A relay worker as a process of its own: `python -m tests.road.sync.working FOLDER`.

When a file `stop` in its folder says `before` or `after`, it stops itself (SIGSTOP) in the middle of its next
transaction that has records, before or after its offsets are sent, and says so by a file `stopped`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Producer, TopicPartition

from services.core import db, telemetry
from services.core.avro import Registry
from services.core.http import stop_at_signals
from services.core.kafka import OffsetSender, admin_client
from services.core.settings import settings
from services.sync.relay import transaction
from services.sync.relay.followed import Followed
from services.sync.relay.number import Number
from services.sync.relay.worker import Relay


def stopping(folder: Path) -> type[OffsetSender]:
    def stop(producer: Producer) -> None:
        producer.flush()
        (folder / "stop").unlink()
        (folder / "stopped").touch()
        os.kill(os.getpid(), signal.SIGSTOP)

    class Stopping(OffsetSender):
        def send(
            self, producer: Producer, offsets: list[TopicPartition], group: Any, seconds: float
        ) -> Callable[[], None]:
            asked = (folder / "stop").read_text() if len(producer) > 0 and (folder / "stop").exists() else ""
            if asked == "before":
                stop(producer)
            sent = super().send(producer, offsets, group, seconds)
            if asked == "after":
                sent()
                stop(producer)
                return lambda: None
            return sent

    return Stopping


def main(folder: Path) -> None:
    here, stop = settings(), stop_at_signals()
    telemetry.start("sync", here)
    registry = Registry(here.registry_url)
    transaction.OffsetSender = stopping(folder)  # type: ignore[misc]
    followed = Followed(here, registry)
    followed.start()
    number = Number(db.engine(here, "sync"))
    Relay(here, registry, admin_client(here, "sync"), followed, number, filled=True).run(stop)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
