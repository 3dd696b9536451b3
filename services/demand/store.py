"""How the demand side is kept: schema `demand` of the exchange's database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import DateTime, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.db import metadata, outbox_table


class Base(DeclarativeBase):
    metadata = metadata("demand")


outbox = outbox_table(Base.metadata)


class Grant(Base):
    """A grant and its state; the columns are the fields of `demand.grants`."""

    __tablename__ = "grants"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    thread: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20))
    resource: Mapped[str] = mapped_column(String(40), index=True)
    contract_version: Mapped[str] = mapped_column(String(20))
    department: Mapped[str] = mapped_column(String(40), index=True)
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    row_filter: Mapped[str | None] = mapped_column(Text)
    channels: Mapped[list[str]] = mapped_column(JSONB)
    purpose: Mapped[str] = mapped_column(Text)
    valid_from: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    valid_to: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    topic: Mapped[str] = mapped_column(Text)
    granted_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    api_key_digests: Mapped[list[str]] = mapped_column(JSONB, default=list)
    table_target: Mapped[dict[str, str] | None] = mapped_column(JSONB(none_as_null=True))
