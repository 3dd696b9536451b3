"""How the audit is kept beside the log: schema `audit` of the exchange's database.

All of it but the names behind references, findings and what became of alerts can be made again from the log.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, DateTime, Index, Integer, LargeBinary, String, Text
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
