"""What the watch keeps: alerts and what was done about them, in the schema `watch`. All else it sees anew."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, Integer, String, Text
from sqlalchemy import text as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.db import metadata, outbox_table
from services.core.idempotency import idempotency_table


class Base(DeclarativeBase):
    metadata = metadata("watch")


outbox = outbox_table(Base.metadata)
idempotency = idempotency_table(Base.metadata)


class Alert(Base):
    """An alert; of one rule and subject only one is not closed. `owner` is who took it on, or was handed it."""

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
