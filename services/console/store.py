"""How accounts are kept: schema `console` of the exchange's database. Sessions are in Redis (`sessions.py`)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import DateTime, Integer, String, Text, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.db import metadata, outbox_table

_MOMENT = DateTime(timezone=True)


class Base(DeclarativeBase):
    metadata = metadata("console")


outbox = outbox_table(Base.metadata)


class Account(Base):
    """Somebody who signs in here; of the password, only its argon2id hash.

    Whom an identity provider vouches for has none: `subject` says then who that is.
    """

    __tablename__ = "accounts"
    login: Mapped[str] = mapped_column(String(40), primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    department: Mapped[str | None] = mapped_column(String(40))
    roles: Mapped[list[str]] = mapped_column(JSONB)
    language: Mapped[str] = mapped_column(String(5))
    password_hash: Mapped[str | None] = mapped_column(Text)
    subject: Mapped[str | None] = mapped_column(Text, unique=True)
    must_change: Mapped[bool]
    disabled: Mapped[bool]
    # goes up with whatever ends the sessions of before: password, rights, disabling
    epoch: Mapped[int] = mapped_column(Integer)
    revision: Mapped[int] = mapped_column(Integer)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
    last_signed_in_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class SignInFailures(Base):
    """Failures in a row under a login name, which need not be an account's."""

    __tablename__ = "sign_in_failures"
    login: Mapped[str] = mapped_column(String(40), primary_key=True)
    count: Mapped[int] = mapped_column(Integer)
    last_at: Mapped[datetime] = mapped_column(_MOMENT, index=True)
    locked_until: Mapped[datetime | None] = mapped_column(_MOMENT)
