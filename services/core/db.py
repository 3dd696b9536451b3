"""Postgres: each service has a schema and a role of its own, and a transactional outbox beside its state.

State and its events commit together: `emit` writes the event into the outbox in the caller's transaction and deletes it
again at once, so that the table stays empty while the exchange's own Debezium (outbox event router) carries the insert
from the log to Kafka.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Column, LargeBinary, MetaData, Table, Text, Uuid, create_engine, delete, insert, text
from sqlalchemy.engine import URL, Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from services.core.settings import Settings
from services.core.telemetry import current_traceparent

_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def metadata(service: str) -> MetaData:
    """The tables of `service`, in its schema, with constraint names that migrations can rely on."""
    return MetaData(schema=service, naming_convention=_NAMING)


def engine(settings: Settings, service: str) -> Engine:
    """Connections to the exchange's database as the role of `service`."""
    url = URL.create(
        "postgresql+psycopg",
        username=service,
        password=settings.secret(f"postgres_{service}_password"),
        host=settings.postgres_host,
        port=settings.postgres_port,
        database=settings.postgres_database,
    )
    return create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=10)


def sessions(engine: Engine) -> sessionmaker[Session]:
    return sessionmaker(engine, expire_on_commit=False)


def outbox_table(tables: MetaData) -> Table:
    """The outbox of a service; its columns are what the event router reads (`infra/bootstrap.py`)."""
    return Table(
        "outbox",
        tables,
        Column("id", Uuid, primary_key=True),
        Column("topic", Text, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("payload", LargeBinary),
        *(Column(name, Text, nullable=False) for name in HEADERS),
    )


HEADERS = (
    "ce_specversion",
    "ce_type",
    "ce_source",
    "ce_subject",
    "ce_time",
    "ce_correlationid",
    "content_type",
    "traceparent",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a service tells the others: a value for a topic with CloudEvents attributes (1.0, binary mode).

    `payload` is in wire format; None is a tombstone. `thread` is the id that joins all steps from a demand to the last
    delivered change.
    """

    topic: str
    key: str
    payload: bytes | None
    type: str
    source: str
    subject: str
    thread: str
    time: datetime = field(default_factory=lambda: datetime.now(UTC))


def emit(session: Session, outbox: Table, *events: Event) -> None:
    """Publish `events`, in their order, if and only if the session's transaction commits."""
    rows = [_row(event) for event in events]
    if rows:
        session.execute(insert(outbox), rows)
        session.execute(delete(outbox).where(outbox.c.id.in_([row["id"] for row in rows])))


def _row(event: Event) -> dict[str, object]:
    return {
        "id": uuid.uuid4(),
        "topic": event.topic,
        "key": event.key.encode(),
        "payload": event.payload,
        "ce_specversion": "1.0",
        "ce_type": event.type,
        "ce_source": event.source,
        "ce_subject": event.subject,
        "ce_time": event.time.isoformat(),
        "ce_correlationid": event.thread,
        "content_type": "application/avro",
        "traceparent": current_traceparent(),
    }


def is_ready(engine: Engine) -> str | None:
    """Why the database cannot be used just now; None when it can."""
    try:
        with engine.connect() as connection:
            connection.execute(text("select 1"))
    except SQLAlchemyError as error:
        return f"database: {type(error).__name__}"
    return None
