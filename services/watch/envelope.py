"""When the source committed a change, out of the record in the change topic."""

from __future__ import annotations

from confluent_kafka import Message

from services.core.avro import NotAvro, Registry, RegistryUnavailable, UnknownSchema

_READ = "r"


class CommitTimes:
    """Reads commit times of changes; of the row it keeps nothing."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def __call__(self, message: Message) -> float | None:
        """In seconds; None for what is no change, and for rows that a snapshot read: their time is the snapshot's."""
        value = message.value()
        if value is None or not str(message.topic()).startswith("cdc."):
            return None
        try:
            _, envelope = self._registry.decode(value)
            if envelope["op"] == _READ:
                return None
            source = envelope["source"]
            microseconds = source.get("ts_us")
            return float(microseconds / 1_000_000 if microseconds is not None else source["ts_ms"] / 1_000)
        except (NotAvro, UnknownSchema, RegistryUnavailable, KeyError, TypeError, AttributeError):
            return None
