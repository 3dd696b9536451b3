"""How the demand side is kept: schema `demand` of the exchange's database."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, String, Text, Uuid
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
    fill: Mapped[int] = mapped_column(default=0)
    divisions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    divisions_before: Mapped[list[list[dict[str, Any]]]] = mapped_column(JSONB, default=list)


class ReturnOrder(Base):
    """That rows go back to the lower levels they concern (`domain.local_return`); `ended_at`: since when no longer."""

    __tablename__ = "return_orders"
    id: Mapped[str] = mapped_column(String(40), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), index=True)
    provider: Mapped[str] = mapped_column(String(40))
    item: Mapped[str] = mapped_column(Text)
    level: Mapped[int]
    departments: Mapped[list[str] | None] = mapped_column(JSONB(none_as_null=True))
    items: Mapped[list[str]] = mapped_column(JSONB)
    masks: Mapped[dict[str, Any]] = mapped_column(JSONB)
    channels: Mapped[list[str]] = mapped_column(JSONB)
    purpose: Mapped[str] = mapped_column(Text)
    ordered_by: Mapped[str] = mapped_column(Text)
    ordered_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Returned(Base):
    """The grant by which a return order serves a department of a division."""

    __tablename__ = "returned"
    order: Mapped[str] = mapped_column(String(40), primary_key=True)
    department: Mapped[str] = mapped_column(String(40), primary_key=True)
    division: Mapped[str] = mapped_column(String(6), primary_key=True)
    grant: Mapped[str] = mapped_column(String(40), index=True)


class BrokerUser(Base):
    """A department's user on the broker: what must be there. `sealed` is its password under the service's vault key."""

    __tablename__ = "broker_users"
    department: Mapped[str] = mapped_column(String(40), primary_key=True)
    iterations: Mapped[int]
    sealed: Mapped[bytes]
    issued_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Counted(Base):
    """How far tracking has counted a partition: the next offset. Locked while it counts."""

    __tablename__ = "counted"
    topic: Mapped[str] = mapped_column(Text, primary_key=True)
    partition: Mapped[int] = mapped_column(primary_key=True)
    next_offset: Mapped[int] = mapped_column(BigInteger)


class CountedRun(Base):
    """The highest number of a manifest that was counted of a relay's run and a grant."""

    __tablename__ = "counted_runs"
    worker: Mapped[str] = mapped_column(Text, primary_key=True)
    grant: Mapped[str] = mapped_column(String(40), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)


class Usage(Base):
    """The figures of a grant's minute, hour or day (`domain.usage.Figures`); `start` in seconds since 1970."""

    __tablename__ = "usage"
    grant: Mapped[str] = mapped_column(String(40), primary_key=True)
    granularity: Mapped[str] = mapped_column(String(10), primary_key=True)
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), index=True)
    department: Mapped[str] = mapped_column(String(40), index=True)
    deliveries: Mapped[int] = mapped_column(BigInteger)
    records: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    errors: Mapped[int] = mapped_column(BigInteger)
    calls: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int] = mapped_column(BigInteger)
    refused: Mapped[int] = mapped_column(BigInteger)
    call_sum_us: Mapped[int] = mapped_column(BigInteger)
    call_max_us: Mapped[int] = mapped_column(BigInteger)
    timed: Mapped[int] = mapped_column(BigInteger)
    timely: Mapped[int] = mapped_column(BigInteger)
    latency_sum_us: Mapped[int] = mapped_column(BigInteger)
    latency_min_us: Mapped[int | None] = mapped_column(BigInteger)
    latency_max_us: Mapped[int | None] = mapped_column(BigInteger)


class Delivered(Base):
    """All that was delivered under a grant; `told_at`: since when its use was told in `demand.usage`, null: not yet."""

    __tablename__ = "delivered"
    grant: Mapped[str] = mapped_column(String(40), primary_key=True)
    resource: Mapped[str] = mapped_column(String(40), index=True)
    department: Mapped[str] = mapped_column(String(40), index=True)
    first_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    last_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    records: Mapped[int] = mapped_column(BigInteger)
    told_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class Silence(Base):
    """An active grant under which nothing was delivered for longer than its resource's update cycle lets expect."""

    __tablename__ = "silences"
    grant: Mapped[str] = mapped_column(String(40), primary_key=True)
    since: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Happening(Base):
    """An event of `demand.events`, for the figures that are made of them."""

    __tablename__ = "happenings"
    partition: Mapped[int] = mapped_column(primary_key=True)
    offset: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    type: Mapped[str] = mapped_column(Text, index=True)
    subject: Mapped[str] = mapped_column(Text, index=True)
    actor: Mapped[str] = mapped_column(Text)
    department: Mapped[str] = mapped_column(Text)
    thread: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), index=True)
    data: Mapped[dict[str, str]] = mapped_column(JSONB)


class Feedback(Base):
    """Feedback on a grant; the database refuses to change or delete it. `period_end` is the grant's end back then."""

    __tablename__ = "feedback"
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    grant: Mapped[str] = mapped_column(String(40), index=True)
    resource: Mapped[str] = mapped_column(String(40), index=True)
    department: Mapped[str] = mapped_column(String(40), index=True)
    score: Mapped[int]
    reasons: Mapped[list[str]] = mapped_column(JSONB)
    effect: Mapped[str] = mapped_column(Text)
    comment: Mapped[str] = mapped_column(Text)
    records: Mapped[int] = mapped_column(BigInteger)
    period_end: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    given_by: Mapped[str] = mapped_column(Text)
    given_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class FeedbackRequest(Base):
    """Feedback that is asked for and not given yet."""

    __tablename__ = "feedback_requests"
    grant: Mapped[str] = mapped_column(String(40), primary_key=True)
    asked_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    records: Mapped[int] = mapped_column(BigInteger)


class Objection(Base):
    """An objection; `sealed` is what the record says and should say, under the vault key.

    `record` stands for the record (`domain.objection.reference`); `scanned` says, by partition of `topic`,
    up to where its correction was looked for.
    """

    __tablename__ = "objections"
    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, Identity(), unique=True)
    grant: Mapped[str] = mapped_column(String(40), index=True)
    thread: Mapped[str] = mapped_column(String(40))
    resource: Mapped[str] = mapped_column(String(40), index=True)
    department: Mapped[str] = mapped_column(String(40), index=True)
    provider: Mapped[str] = mapped_column(String(40), index=True)
    topic: Mapped[str] = mapped_column(Text)
    record: Mapped[str] = mapped_column(String(64), index=True)
    items: Mapped[list[str]] = mapped_column(JSONB)
    sealed: Mapped[bytes]
    state: Mapped[str] = mapped_column(String(20), index=True)
    round: Mapped[int]
    due_on: Mapped[date]
    provisional: Mapped[bool]
    overdue: Mapped[bool]
    scanned: Mapped[dict[str, int]] = mapped_column(JSONB)
    raised_by: Mapped[str] = mapped_column(Text)
    raised_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    answered_by: Mapped[str | None] = mapped_column(Text)
    answered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reason: Mapped[str] = mapped_column(Text, default="")
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    outcome: Mapped[str | None] = mapped_column(String(20))
    proof: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    revision: Mapped[int]


class Norm(Base):
    """What a place has decided of the figures (`domain.norms`); one that is not here has its default."""

    __tablename__ = "norms"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(JSONB)
    revision: Mapped[int]


class ShareTopic(Base):
    """A share topic as the broker knows it: one that was removed and made again has another identity."""

    __tablename__ = "share_topics"
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    identity: Mapped[str] = mapped_column(Text)
