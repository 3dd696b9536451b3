"""The Debezium connector of a mount: one per resource, so that a failing source stops only its own."""

from __future__ import annotations

from services.catalog.source import SourceDatabase
from services.core.connect import avro_converters
from services.core.kafka import HOUR_MS, Topic
from services.core.settings import Settings


def change_topic(settings: Settings, system: str, *where: str) -> Topic:
    """The change topic of a table (schema, name) or of a resource that its system fills (code).

    It is compacted, so that a later grant is served from it and not from the source.
    """
    # a relay that is away for less than this misses nothing, not even a step between two states of a row
    kept = str(settings.delete_retention_hours * HOUR_MS)
    return Topic(
        ".".join(("cdc", system, *where)),
        partitions=settings.cdc_partitions,
        compacted=True,
        config={"delete.retention.ms": kept, "min.compaction.lag.ms": kept},
    )


def connector_name(resource: str) -> str:
    return f"mount.{resource}"


def slot_name(resource: str) -> str:
    """The replication slot of a resource's mount, and its publication."""
    return f"tongshu_{resource}"


def connector_config(
    settings: Settings,
    source: SourceDatabase,
    *,
    resource: str,
    system: str,
    schema: str,
    table: str,
    tells: bool = False,
) -> dict[str, str]:
    """The connector's configuration; why each value is what it is stands beside it.

    With `tells` it can read rows again, and tells how far it is.
    """
    slot = slot_name(resource)
    return {
        "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
        "tasks.max": "1",
        "plugin.name": "pgoutput",
        "database.hostname": source.host,
        "database.port": str(source.port),
        "database.dbname": source.database,
        "database.user": source.username,
        "database.password": source.password,
        "slot.name": slot,
        "publication.name": slot,
        "publication.autocreate.mode": "filtered",
        "topic.prefix": f"cdc.{system}",
        "schema.include.list": schema,
        "table.include.list": f"{schema}.{table}",
        # connectors of one system share a topic prefix, and JMX names must differ all the same
        "custom.metric.tags": f"resource={resource}",
        "snapshot.mode": "initial",
        "poll.interval.ms": str(settings.cdc_poll_milliseconds),
        # a poll ends with the first change; with a larger batch it would wait its time out for more, and turn in place
        # for the last millisecond of it (ChangeEventQueue.poll). A burst is drained no slower.
        "max.batch.size": "1",
        "max.queue.size": "16384",
        # money and IDs are never floats
        "decimal.handling.mode": "precise",
        "time.precision.mode": "adaptive_time_microseconds",
        # a quiet table's slot must not hold the source's log for ever: a message moves it, and no table is needed; one
        # with a transaction, because rows cannot be read again where none was seen
        "heartbeat.interval.ms": "10000",
        "heartbeat.action.query": "select pg_logical_emit_message(true, 'tongshu', 'heartbeat')",
        "message.prefix.exclude.list": ".*",
        # the exchange starts again what fails, and tells of it; by itself it would try for ever and say nothing
        "errors.max.retries": "0",
        "exactly.once.support": "required",
        # a transaction a poll would cost each change some 20 ms; the relay reads what is not committed yet, too
        # (services/sync/relay/repeats.py)
        "transaction.boundary": "interval",
        "transaction.boundary.interval.ms": "1000",
        "producer.override.linger.ms": "0",
        "producer.override.compression.type": "lz4",
        "topic.creation.default.replication.factor": str(settings.replication_factor),
        "topic.creation.default.partitions": "1",
        **avro_converters(settings),
        **(_rereading(resource) if tells else {}),
    }


def notification_topic(resource: str) -> Topic:
    """The topic in which the connector of a mount tells how far it is with reading rows again."""
    return Topic(f"notification.{resource}", retention_ms=7 * 24 * HOUR_MS)


CHUNK_ROWS = 2_048


def _rereading(resource: str) -> dict[str, str]:
    return {
        # watermarks by transaction number: nothing is written to the source
        "read.only": "true",
        "notification.enabled.channels": "sink",
        "notification.sink.topic.name": notification_topic(resource).name,
        "incremental.snapshot.chunk.size": str(CHUNK_ROWS),
        # on a quiet table it is the heartbeat that moves a snapshot on
        "heartbeat.interval.ms": "2000",
    }
