"""How the catalogue is kept: schema `catalog` of the exchange's database.

A thing that is changed through the API has a `revision`, which its entity tag shows; whoever changes it raises it.
"""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.core.db import metadata, outbox_table
from services.core.idempotency import idempotency_table


class Base(DeclarativeBase):
    metadata = metadata("catalog")


outbox = outbox_table(Base.metadata)
idempotency = idempotency_table(Base.metadata)

_MOMENT = DateTime(timezone=True)


# -- registers -------------------------------------------------------------------------------------------------------


class Division(Base):
    """An administrative division (行政区划, GB/T 2260) in a span of time; codes retire, merge and come back."""

    __tablename__ = "divisions"
    code: Mapped[str] = mapped_column(String(6), primary_key=True)
    valid_from: Mapped[date] = mapped_column(Date, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    parent: Mapped[str | None] = mapped_column(String(6))
    valid_to: Mapped[date | None] = mapped_column(Date)
    successor: Mapped[str | None] = mapped_column(String(6))
    __table_args__ = (CheckConstraint("valid_to is null or valid_to > valid_from", name="span"),)


class Department(Base):
    """A government body (部门)."""

    __tablename__ = "departments"
    slug: Mapped[str] = mapped_column(String(40), primary_key=True)
    uscc: Mapped[str] = mapped_column(String(18), unique=True)
    name: Mapped[str] = mapped_column(Text)
    name_en: Mapped[str] = mapped_column(Text)
    division: Mapped[str | None] = mapped_column(String(6))
    revision: Mapped[int] = mapped_column(Integer, default=1)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class Appointment(Base):
    """A person as a department's responsible person (责任人) or handler (经办人), from a day, until a day or now."""

    __tablename__ = "appointments"
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug), index=True)
    role: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(Text)
    post: Mapped[str | None] = mapped_column(Text)
    phone: Mapped[str | None] = mapped_column(Text)
    since: Mapped[date] = mapped_column(Date)
    until: Mapped[date | None] = mapped_column(Date)
    __table_args__ = (
        # one current holder of a role; the API keeps the spans before from overlapping
        Index("ix_appointments_current", "department", "role", unique=True, postgresql_where=text("until is null")),
        CheckConstraint("until is null or until >= since", name="span"),
    )


class InformationSystem(Base):
    """A department's system (信息系统), and how its database is reached where it has one that tables are mounted from.

    The password is sealed by the vault. All of the database is there or nothing.
    """

    __tablename__ = "systems"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug))
    name: Mapped[str] = mapped_column(Text)
    host: Mapped[str | None] = mapped_column(Text)
    port: Mapped[int | None] = mapped_column(Integer)
    database: Mapped[str | None] = mapped_column(Text)
    username: Mapped[str | None] = mapped_column(Text)
    password: Mapped[bytes | None] = mapped_column(LargeBinary)
    description: Mapped[str | None] = mapped_column(Text)
    protection_level: Mapped[int | None] = mapped_column(SmallInteger)
    revision: Mapped[int] = mapped_column(Integer, default=1)
    __table_args__ = (
        CheckConstraint("num_nulls(host, port, database, username, password) in (0, 5)", name="database"),
    )


class Category(Base):
    """A category (信息资源分类) of the tree: base, thematic and departmental at its top."""

    __tablename__ = "categories"
    code: Mapped[str] = mapped_column(String(20), primary_key=True)
    parent: Mapped[str | None] = mapped_column(ForeignKey("catalog.categories.code"), index=True)
    name: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer, default=1)


class CodeList(Base):
    """A code list (代码集): what codes there are, and what each stands for."""

    __tablename__ = "code_lists"
    name: Mapped[str] = mapped_column(String(100), primary_key=True)
    entries: Mapped[dict[str, str]] = mapped_column(JSONB)
    revision: Mapped[int] = mapped_column(Integer, default=1)


# -- power list, service items, data list ----------------------------------------------------------------------------
# `told`: whether the line is in `catalog.lists` as it is; those from before there was such a topic are not.


class Power(Base):
    """A power (权力) of a department, from its power list."""

    __tablename__ = "powers"
    code: Mapped[str] = mapped_column(String(60), primary_key=True)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug), index=True)
    name: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(String(40))
    legal_basis: Mapped[str] = mapped_column(Text)
    told: Mapped[bool] = mapped_column(Boolean, default=False)


class ServiceItem(Base):
    """A service item (事项) under a power."""

    __tablename__ = "service_items"
    code: Mapped[str] = mapped_column(String(60), primary_key=True)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug), index=True)
    power: Mapped[str] = mapped_column(ForeignKey(Power.code), index=True)
    name: Mapped[str] = mapped_column(Text)
    told: Mapped[bool] = mapped_column(Boolean, default=False)


class DataItem(Base):
    """A line of the data list (数据清单): data that a service item makes or needs.

    Of those that make an item of one name only one is its source (一数一源), unless an exception is on record.
    """

    __tablename__ = "data_items"
    code: Mapped[str] = mapped_column(String(60), primary_key=True)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug), index=True)
    service_item: Mapped[str] = mapped_column(ForeignKey(ServiceItem.code), index=True)
    name: Mapped[str] = mapped_column(Text)
    compared_name: Mapped[str] = mapped_column(Text)
    use: Mapped[str] = mapped_column(String(10))
    exception: Mapped[str | None] = mapped_column(Text)
    exception_by: Mapped[str | None] = mapped_column(Text)
    told: Mapped[bool] = mapped_column(Boolean, default=False)
    __table_args__ = (
        Index(
            "ix_data_items_source",
            "compared_name",
            unique=True,
            postgresql_where=text("use = 'makes' and exception is null"),
        ),
    )


class Import(Base):
    """A file that was sent to be imported and what became of it; `marked` is the copy with the errors in it."""

    __tablename__ = "imports"
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    kind: Mapped[str] = mapped_column(String(20))
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug))
    format: Mapped[str] = mapped_column(String(4))
    digest: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int] = mapped_column(Integer)
    errors: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    marked: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


# -- resources -------------------------------------------------------------------------------------------------------


class Resource(Base):
    """A resource: what is in force (`published`), what is being written (`draft`), and where in its life it stands.

    `published` is null where nothing is in force; `mount` outlives a withdrawal only as long as it takes to undo it.
    """

    __tablename__ = "resources"
    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    catalogue_code: Mapped[str] = mapped_column(String(100), unique=True)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug), index=True)
    state: Mapped[str] = mapped_column(String(20), index=True)
    published: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    draft: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    submitted_by: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(Integer, default=0)
    contract: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    mount: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    first_published_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    published_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    regraded_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    revision: Mapped[int] = mapped_column(Integer, default=1)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


class Version(Base):
    """A version that was published, as it was: never changed afterwards."""

    __tablename__ = "resource_versions"
    resource: Mapped[str] = mapped_column(ForeignKey(Resource.code), primary_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True)
    terms: Mapped[dict[str, Any]] = mapped_column(JSONB)
    contract: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    published_at: Mapped[datetime] = mapped_column(_MOMENT)
    published_by: Mapped[str] = mapped_column(Text)


class Step(Base):
    """A step of a resource's life: who did what, when, and why."""

    __tablename__ = "steps"
    id: Mapped[int] = mapped_column(Integer, Identity(), primary_key=True)
    resource: Mapped[str] = mapped_column(ForeignKey(Resource.code), index=True)
    action: Mapped[str] = mapped_column(String(20))
    source: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(20))
    actor: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(_MOMENT)


class Task(Base):
    """Open or done work on a resource with its clock. `assignee` is null where it is the data authority's.

    `due_on` is provisional while it reaches a year whose working days are not announced yet.
    """

    __tablename__ = "tasks"
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    resource: Mapped[str] = mapped_column(ForeignKey(Resource.code), index=True)
    department: Mapped[str] = mapped_column(ForeignKey(Department.slug), index=True)
    assignee: Mapped[uuid.UUID | None] = mapped_column(ForeignKey(Appointment.id))
    clock: Mapped[str] = mapped_column(String(20))
    started_on: Mapped[date] = mapped_column(Date)
    due_on: Mapped[date] = mapped_column(Date)
    provisional: Mapped[bool] = mapped_column(Boolean, default=False)
    opened_at: Mapped[datetime] = mapped_column(_MOMENT)
    closed_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    __table_args__ = (
        Index("ix_tasks_open", "resource", "clock", unique=True, postgresql_where=text("closed_at is null")),
    )


class Notice(Base):
    """The notice of a breaking change to those who use the contract; `draft_digest` says of which draft it speaks."""

    __tablename__ = "notices"
    id: Mapped[uuid.UUID] = mapped_column(Uuid, primary_key=True, default=uuid.uuid4)
    resource: Mapped[str] = mapped_column(ForeignKey(Resource.code), index=True)
    from_version: Mapped[str] = mapped_column(String(20))
    to_version: Mapped[str] = mapped_column(String(20))
    draft_digest: Mapped[str] = mapped_column(String(64))
    reasons: Mapped[list[dict[str, str]]] = mapped_column(JSONB)
    deadline: Mapped[date] = mapped_column(Date)
    created_at: Mapped[datetime] = mapped_column(_MOMENT)
    closed_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class Acknowledgement(Base):
    """A consumer that was told of a breaking change, and when it said that it is ready (null: not yet)."""

    __tablename__ = "acknowledgements"
    notice: Mapped[uuid.UUID] = mapped_column(ForeignKey(Notice.id), primary_key=True)
    department: Mapped[str] = mapped_column(String(40), primary_key=True)
    acknowledged_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    acknowledged_by: Mapped[str | None] = mapped_column(Text)


# -- mounts ----------------------------------------------------------------------------------------------------------


class MountState(Base):
    """How the mount of a resource is; `columns` are the source's as they were when `version` was published or mounted.

    `findings` are records of `domain/drift.py`; `stopped` says that the exchange itself has stopped the connector,
    `reread` that rows were missed and are to be read again. `reading` is a record of `domain/reread.py`: the last that
    was asked for, since when the connector tells how far it is with that; `reconcile` says that rows which are gone are
    to be found and deleted while the connector is stopped.
    `publication` (its oid), `decoded` (transactions, of the slot) and `counted_since` are those of the last look.
    """

    __tablename__ = "mount_states"
    resource: Mapped[str] = mapped_column(ForeignKey(Resource.code), primary_key=True)
    condition: Mapped[str] = mapped_column(String(10), default="ok")
    findings: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, default=list)
    columns: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    version: Mapped[int] = mapped_column(Integer, default=0)
    stopped: Mapped[bool] = mapped_column(Boolean, default=False)
    reread: Mapped[bool] = mapped_column(Boolean, default=False)
    reading: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    reconcile: Mapped[bool] = mapped_column(Boolean, default=False)
    publication: Mapped[int | None] = mapped_column(BigInteger)
    decoded: Mapped[int | None] = mapped_column(BigInteger)
    counted_since: Mapped[datetime | None] = mapped_column(_MOMENT)
    retained_bytes: Mapped[int | None] = mapped_column(BigInteger)
    checked_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class Upstream(Base):
    """The API that fills a resource, and what became of asking it; the secret is sealed by the vault.

    `form` is a record of `domain/upstream.py`. `etag` and `last_modified` are those of the answer taken in last, under
    `version` of the resource; `next_at` is when it is asked next, or until when somebody is asking it just now.
    """

    __tablename__ = "upstreams"
    resource: Mapped[str] = mapped_column(ForeignKey(Resource.code), primary_key=True)
    form: Mapped[dict[str, Any]] = mapped_column(JSONB)
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    etag: Mapped[str] = mapped_column(Text, default="")
    last_modified: Mapped[str] = mapped_column(Text, default="")
    version: Mapped[int] = mapped_column(Integer, default=0)
    rows: Mapped[int | None] = mapped_column(Integer)
    asked_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    next_at: Mapped[datetime] = mapped_column(_MOMENT, index=True)
    failures: Mapped[int] = mapped_column(Integer, default=0)
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class Product(Base):
    """The view that fills a data product, and what became of evaluating it.

    `inputs` are grants by the names that the view calls them: `{"grant": …, "resource": …}`. `columns` holds what each
    column of the view is computed from, as pairs of input and item. `revision` is of the mount: another has another.
    """

    __tablename__ = "products"
    resource: Mapped[str] = mapped_column(ForeignKey(Resource.code), primary_key=True)
    sql: Mapped[str] = mapped_column(Text)
    inputs: Mapped[dict[str, dict[str, str]]] = mapped_column(JSONB)
    columns: Mapped[dict[str, list[list[str]]]] = mapped_column(JSONB)
    revision: Mapped[uuid.UUID] = mapped_column(Uuid, default=uuid.uuid4)
    rows: Mapped[int | None] = mapped_column(Integer)
    evaluated_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    milliseconds: Mapped[int | None] = mapped_column(Integer)
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


class Clearance(Base):
    """What a mount that ended, or never came to be, may have left in Connect, its source or the broker, to be removed.

    Written before anything is made and deleted when the mount stands, so that whatever crashes, nothing stays behind.
    """

    __tablename__ = "clearances"
    resource: Mapped[str] = mapped_column(ForeignKey(Resource.code), primary_key=True)
    system: Mapped[str] = mapped_column(ForeignKey(InformationSystem.code), primary_key=True)
    kind: Mapped[str] = mapped_column(String(10), default="table")
    connector_deleted: Mapped[bool] = mapped_column(Boolean, default=False)
    not_before: Mapped[datetime] = mapped_column(_MOMENT)
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())


# -- the place's data, and who may call ------------------------------------------------------------------------------


class ClockLength(Base):
    """How many working days a clock runs at a place; `mark` says how sure the source is (domain.md)."""

    __tablename__ = "clock_lengths"
    clock: Mapped[str] = mapped_column(String(20), primary_key=True)
    working_days: Mapped[int] = mapped_column(Integer)
    source: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer, default=1)


class CalendarDay(Base):
    """A day that the place itself has entered: it goes before the national calendar."""

    __tablename__ = "calendar_days"
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    working: Mapped[bool] = mapped_column(Boolean)
    name: Mapped[str | None] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer, default=1)


class CodeSequence(Base):
    """The last number that a prefix of a code scheme has given; which scheme holds is the place's `code_scheme`."""

    __tablename__ = "code_sequences"
    scheme: Mapped[str] = mapped_column(String(40), primary_key=True)
    prefix: Mapped[str] = mapped_column(String(80), primary_key=True)
    last: Mapped[int] = mapped_column(Integer)


class Policy(Base):
    """A choice of the place, by name (`code_scheme`, …)."""

    __tablename__ = "policies"
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    value: Mapped[str] = mapped_column(Text)
    revision: Mapped[int] = mapped_column(Integer, default=1)


class Token(Base):
    """An API token; never its secret (services/core/identity.py)."""

    __tablename__ = "tokens"
    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    digest: Mapped[str] = mapped_column(String(64))
    name: Mapped[str] = mapped_column(Text)
    department: Mapped[str | None] = mapped_column(ForeignKey(Department.slug))
    roles: Mapped[list[str]] = mapped_column(JSONB)
    expires_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    revoked_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=func.now())
