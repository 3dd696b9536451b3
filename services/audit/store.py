"""How the audit is kept beside the log: schema `audit` of the exchange's database.

All of it but the names behind references, findings and what became of alerts can be made again from the log.
"""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, DateTime, ForeignKey, Index, Integer, LargeBinary, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.db import metadata, outbox_table
from services.core.idempotency import idempotency_table


class Base(DeclarativeBase):
    metadata = metadata("audit")


outbox = outbox_table(Base.metadata)
idempotency = idempotency_table(Base.metadata)


class Actor(Base):
    """Whom a reference in the log stands for; once erased, nobody can tell any more."""

    __tablename__ = "actors"
    __table_args__ = (Index("ix_actors_name", "name", unique=True),)
    reference: Mapped[str] = mapped_column(String(20), primary_key=True)
    name: Mapped[str | None] = mapped_column(Text)
    key: Mapped[bytes | None] = mapped_column(LargeBinary)
    erased_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Cursor(Base):
    """How far something that is made from the log or a topic has come."""

    __tablename__ = "cursors"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    next: Mapped[int] = mapped_column(BigInteger)


class Entry(Base):
    """An entry of the log, to be found by what it says; the log itself is what counts."""

    __tablename__ = "entries"
    __table_args__ = (
        Index("ix_entries_place", "topic", "partition", "offset", unique=True),
        Index("ix_entries_actor", "actor", "sequence"),
        Index("ix_entries_department", "department", "sequence"),
        Index("ix_entries_type", "type", "sequence"),
        Index("ix_entries_thread", "thread", "sequence"),
        Index("ix_entries_subject", "subject", "sequence"),
        Index("ix_entries_occurred_at", "occurred_at"),
    )
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    type: Mapped[str] = mapped_column(Text)
    topic: Mapped[str] = mapped_column(Text)
    partition: Mapped[int] = mapped_column(Integer)
    offset: Mapped[int] = mapped_column(BigInteger)
    subject: Mapped[str] = mapped_column(Text)
    thread: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    recorded_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    actor: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    trace: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    records: Mapped[int] = mapped_column(BigInteger)


class Matter(Base):
    """A finding, an alert or an incident; the entries it is about are its evidence."""

    __tablename__ = "matters"
    __table_args__ = (
        Index("ix_matters_department", "department", "id"),
        Index("ix_matters_cause", "cause", unique=True),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    title: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    department: Mapped[str | None] = mapped_column(String(40))
    rule: Mapped[str | None] = mapped_column(String(40))
    cause: Mapped[str | None] = mapped_column(Text)
    evidence: Mapped[list[int]] = mapped_column(JSONB)
    due: Mapped[date | None] = mapped_column(Date)
    opened_by: Mapped[str] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    came_from: Mapped[int | None] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(Integer)


class MatterStep(Base):
    """A step that was taken: the answer, the return, the report."""

    __tablename__ = "matter_steps"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    matter: Mapped[int] = mapped_column(BigInteger, ForeignKey("audit.matters.id"), index=True)
    action: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    taken_by: Mapped[str] = mapped_column(Text)
    taken_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Manifest(Base):
    """A range of delivered records and the manifest that covers it (its offset in `sync.deliveries`)."""

    __tablename__ = "manifests"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    first: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    last: Mapped[int] = mapped_column(BigInteger)
    manifest: Mapped[int] = mapped_column(BigInteger)


class KeyPlace(Base):
    """Where a key occurs: its keyed hash, bound to the topic, and partition and offset. The key itself is nowhere."""

    __tablename__ = "key_places"
    hash: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    partition: Mapped[int] = mapped_column(Integer, primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger, primary_key=True)
