"""What the data road keeps for people: schema `sync` of the exchange's database.

What the relay needs is in topics; this is what was set aside and became of it, scores, and what people asked for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.db import metadata, outbox_table
from services.core.following import positions_table
from services.core.idempotency import idempotency_table


class Base(DeclarativeBase):
    metadata = metadata("sync")


outbox = outbox_table(Base.metadata)
idempotency = idempotency_table(Base.metadata)
positions = positions_table(Base.metadata)


class Quarantined(Base):
    """A change that was set aside, and what became of it.

    What became of it may be known before why it was set aside: then there is no `resource` yet.
    """

    __tablename__ = "quarantined"
    __table_args__ = (UniqueConstraint("topic", "partition", "offset", "grant"),)
    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    topic: Mapped[str] = mapped_column(Text)
    partition: Mapped[int]
    offset: Mapped[int] = mapped_column(BigInteger)
    grant: Mapped[str] = mapped_column(String(40), default="")
    resource: Mapped[str | None] = mapped_column(String(40), index=True)
    owner: Mapped[str | None] = mapped_column(String(40), index=True)
    reason: Mapped[str | None] = mapped_column(String(40))
    detail: Mapped[str | None] = mapped_column(Text)
    rules: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    key_digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    digest: Mapped[bytes | None] = mapped_column(LargeBinary)
    size: Mapped[int | None] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(String(20), index=True)
    quarantined_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_by: Mapped[str | None] = mapped_column(Text)
    by_offset: Mapped[int | None] = mapped_column(BigInteger)
    release_reason: Mapped[str | None] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(default=1)


class Replay(Base):
    """What a grant was or is delivered once more."""

    __tablename__ = "replays"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    grant: Mapped[str] = mapped_column(String(40), index=True)
    resource: Mapped[str] = mapped_column(String(40))
    department: Mapped[str] = mapped_column(String(40))
    thread: Mapped[str] = mapped_column(String(40))
    mode: Mapped[str] = mapped_column(String(10))
    since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    keys: Mapped[list[str]] = mapped_column(JSONB)
    ghosts: Mapped[list[dict[str, int]]] = mapped_column(JSONB, default=list)
    read_to: Mapped[list[dict[str, int]]] = mapped_column(JSONB, default=list)
    reconciliation: Mapped[str | None] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(20))
    asked_by: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    records: Mapped[int] = mapped_column(BigInteger, default=0)
    served: Mapped[list[int]] = mapped_column(JSONB, default=list)
    partitions: Mapped[int | None]


class Reconciliation(Base):
    """What a grant's consumer has against what it should have; what differs is a case of both departments."""

    __tablename__ = "reconciliations"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    grant: Mapped[str] = mapped_column(String(40), index=True)
    resource: Mapped[str] = mapped_column(String(40))
    department: Mapped[str] = mapped_column(String(40), index=True)
    provider: Mapped[str] = mapped_column(String(40), index=True)
    thread: Mapped[str] = mapped_column(String(40))
    heal: Mapped[bool]
    state: Mapped[str] = mapped_column(String(20), index=True)
    asked_by: Mapped[str] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str] = mapped_column(Text, default="")
    replay: Mapped[str | None] = mapped_column(String(40))
    report: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class Watched(Base):
    """A check and a resource whose rows add to it, read from the beginning of its change topic since it is."""

    __tablename__ = "compared_sides"
    check: Mapped[str] = mapped_column(Text, primary_key=True)
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    side: Mapped[int] = mapped_column(SmallInteger, primary_key=True)


class Compared(Base):
    """What a row says of a subject, in keyed digests, and the change that said so last."""

    __tablename__ = "compared_rows"
    __table_args__ = (Index("ix_compared_rows_subject", "check", "subject"),)
    check: Mapped[str] = mapped_column(Text, primary_key=True)
    side: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    key: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    subject: Mapped[bytes] = mapped_column(LargeBinary)
    value: Mapped[bytes] = mapped_column(LargeBinary)
    topic: Mapped[str] = mapped_column(Text)
    partition: Mapped[int]
    offset: Mapped[int] = mapped_column(BigInteger)


class Inconsistency(Base):
    """Rows that do not agree: a case of the departments that answer for them, once it has lasted."""

    __tablename__ = "inconsistencies"
    __table_args__ = (
        Index("ix_inconsistencies_open", "check", "subject", unique=True, postgresql_where=text("ended_at is null")),
    )
    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    check: Mapped[str] = mapped_column(Text)
    subject: Mapped[bytes] = mapped_column(LargeBinary)
    kind: Mapped[str] = mapped_column(String(20))
    rule: Mapped[str] = mapped_column(String(40))
    resource: Mapped[str] = mapped_column(String(40), index=True)
    owner: Mapped[str] = mapped_column(String(40), index=True)
    other: Mapped[str] = mapped_column(String(40))
    other_owner: Mapped[str] = mapped_column(String(40), index=True)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    places: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)


class CountedScores(Base):
    """The highest number of a count that was added, of a relay's run and a resource."""

    __tablename__ = "counted_scores"
    worker: Mapped[str] = mapped_column(Text, primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)


class QualityHour(Base):
    """How good a resource's changes of an hour were; `start` in seconds since 1970."""

    __tablename__ = "quality_hours"
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    department: Mapped[str] = mapped_column(String(40), index=True)
    judged: Mapped[int] = mapped_column(BigInteger)
    incomplete: Mapped[int] = mapped_column(BigInteger)
    inaccurate: Mapped[int] = mapped_column(BigInteger)
    late: Mapped[int] = mapped_column(BigInteger)
    set_aside: Mapped[int] = mapped_column(BigInteger)
    corrected: Mapped[int] = mapped_column(BigInteger)


class BrokenRule(Base):
    """Rows of an hour that broke a rule."""

    __tablename__ = "broken_rules"
    resource: Mapped[str] = mapped_column(String(40), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    rule: Mapped[str] = mapped_column(Text, primary_key=True)
    rows: Mapped[int] = mapped_column(BigInteger)
