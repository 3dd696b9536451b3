"""What the watch keeps, in the schema `watch`: alerts and what was done about them, where they are sent, and what a day
was like. All else it sees anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, DateTime, Double, ForeignKey, Index, Integer, String, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.db import metadata, outbox_table
from services.core.idempotency import idempotency_table
from services.core.sending import Dispatched, Subscribed


class Base(DeclarativeBase):
    metadata = metadata("watch")


outbox = outbox_table(Base.metadata)
idempotency = idempotency_table(Base.metadata)


class Alert(Base):
    """An alert; of one rule and subject only one is not closed. `owner` is who took it on, or was handed it.

    `told_at` is when it was told of last, or one before it where its cause has come back.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        Index("ix_alerts_cause", "rule", "subject", unique=True, postgresql_where=sql("state <> 'closed'")),
    )
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    rule: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(Text)
    department: Mapped[str | None] = mapped_column(String(40))
    severity: Mapped[str] = mapped_column(String(20))
    state: Mapped[str] = mapped_column(String(20))
    text: Mapped[str] = mapped_column(Text)
    text_zh: Mapped[str] = mapped_column(Text)
    evidence: Mapped[dict[str, Any]] = mapped_column(JSONB)
    owner: Mapped[str | None] = mapped_column(Text)
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revision: Mapped[int] = mapped_column(Integer)


class AlertStep(Base):
    """A step that somebody took, or the watch itself when the cause was over."""

    __tablename__ = "alert_steps"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    alert: Mapped[int] = mapped_column(BigInteger, ForeignKey("watch.alerts.id"), index=True)
    action: Mapped[str] = mapped_column(String(20))
    taken_by: Mapped[str] = mapped_column(Text)
    handed_to: Mapped[str | None] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    taken_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Subscription(Subscribed, Base):
    """Where alerts of a department's clients and sources are sent (null: all), and whether the daily summary is."""

    __tablename__ = "subscriptions"
    department: Mapped[str | None] = mapped_column(String(40), index=True)
    daily: Mapped[bool] = mapped_column(Boolean)


class Dispatch(Dispatched, Base):
    """A message on its way; `told` is what it tells."""

    __tablename__ = "dispatches"
    __table_args__ = (Index("ix_dispatches_next_at", "next_at", postgresql_where=sql("next_at is not null")),)
    kind: Mapped[str] = mapped_column(String(20))
    told: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Day(Base):
    """What was carried in a day that began at `since`, and the worst lag in it. `counted_to` is the offset of
    `sync.deliveries` that is to be counted next; `told_at` is when its summary was sent."""

    __tablename__ = "days"
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True), primary_key=True)
    deliveries: Mapped[int] = mapped_column(BigInteger)
    records: Mapped[int] = mapped_column(BigInteger)
    timed: Mapped[int] = mapped_column(BigInteger)
    late: Mapped[int] = mapped_column(BigInteger)
    longest: Mapped[float | None] = mapped_column(Double)
    is_whole: Mapped[bool] = mapped_column(Boolean)
    counted_to: Mapped[int] = mapped_column(BigInteger)
    worst_seconds: Mapped[float | None] = mapped_column(Double)
    worst_group: Mapped[str | None] = mapped_column(Text)
    worst_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
