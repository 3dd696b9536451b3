"""How the catalogue is kept: schema `catalog` of the exchange's database."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, DateTime, ForeignKey, Integer, LargeBinary, String, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.db import metadata, outbox_table


class Base(DeclarativeBase):
    metadata = metadata("catalog")


outbox = outbox_table(Base.metadata)


class Department(Base):
    """A government body (部门)."""

    __tablename__ = "departments"
    slug: Mapped[str] = mapped_column(String(40), primary_key=True)
    uscc: Mapped[str] = mapped_column(String(18), unique=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())


class InformationSystem(Base):
    """A department's system (信息系统) and how its database is reached; the password is sealed by the vault."""

    __tablename__ = "systems"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug))
    name: Mapped[str] = mapped_column(Text)
    host: Mapped[str] = mapped_column(Text)
    port: Mapped[int] = mapped_column(Integer)
    database: Mapped[str] = mapped_column(Text)
    username: Mapped[str] = mapped_column(Text)
    password: Mapped[bytes] = mapped_column(LargeBinary)


class Resource(Base):
    """A published resource; `items` are those of the contract in force."""

    __tablename__ = "resources"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    abstract: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug))
    version: Mapped[int] = mapped_column(Integer, default=1)
    contract_version: Mapped[str] = mapped_column(String(20), default="1.0.0")
    sharing_type: Mapped[str] = mapped_column(String(20))
    sharing_conditions: Mapped[str | None] = mapped_column(Text)
    legal_basis: Mapped[str | None] = mapped_column(Text)
    grade: Mapped[str] = mapped_column(String(20))
    classified: Mapped[bool] = mapped_column(Boolean, default=False)
    update_cycle: Mapped[str] = mapped_column(String(20))
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    mount: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.now())
