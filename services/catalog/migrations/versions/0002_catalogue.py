"""The whole catalogue: registers, lists, the life of a resource with its versions, clocks, tokens, idempotency keys."""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

MOMENT = sa.DateTime(timezone=True)
NOW = sa.func.now()

# What 0001 kept in columns of its own is now in the terms of the version in force.
TERMS: dict[str, Any] = {
    "title": sa.Text, "abstract": sa.Text, "sharing_type": sa.String(20), "sharing_conditions": sa.Text,
    "legal_basis": sa.Text, "grade": sa.String(20), "classified": sa.Boolean, "update_cycle": sa.String(20),
    "items": JSONB,
}  # fmt: skip
OPTIONAL = {"sharing_conditions", "legal_basis"}

# What the regulation says (domain.md, Clocks); a place changes its own copy.
CLOCKS = (
    ("review", 2, "State Council Order 809 (2025) [check]"),
    ("update", 10, "State Council Order 809 (2025) [check]"),
    ("notice", 20, "this exchange: as long as providing after an agreement takes, Order 809 (2025) [likely]"),
)


def column(name: str, kind: Any, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=more.pop("nullable", False), **more)


def department(**more: Any) -> sa.Column[Any]:
    foreign = sa.ForeignKey("catalog.departments.slug")
    return sa.Column("department", sa.String(40), foreign, nullable=more.get("nullable", False))


def resource(**more: Any) -> sa.Column[Any]:
    return sa.Column("resource", sa.String(40), sa.ForeignKey("catalog.resources.code"), nullable=False, **more)


def revision_column() -> sa.Column[Any]:
    return sa.Column("revision", sa.Integer, nullable=False, server_default="1")


def make(name: str, *columns: Any) -> None:
    op.create_table(name, *columns, schema="catalog")


def index(table: str, *columns: str, name: str | None = None, **more: Any) -> None:
    op.create_index(name or f"ix_{table}_{columns[0]}", table, list(columns), schema="catalog", **more)


def upgrade() -> None:
    _registers()
    _lists()
    _resources()
    _place()


def _registers() -> None:
    make(
        "divisions",
        column("code", sa.String(6), primary_key=True),
        column("valid_from", sa.Date, primary_key=True),
        column("name", sa.Text),
        column("parent", sa.String(6), nullable=True),
        column("valid_to", sa.Date, nullable=True),
        column("successor", sa.String(6), nullable=True),
        sa.CheckConstraint("valid_to is null or valid_to > valid_from", name="ck_divisions_span"),
    )
    op.add_column("departments", column("division", sa.String(6), nullable=True), schema="catalog")
    op.add_column("departments", revision_column(), schema="catalog")
    make(
        "appointments",
        column("id", sa.Uuid, primary_key=True),
        department(),
        column("role", sa.String(20)),
        column("name", sa.Text),
        column("post", sa.Text, nullable=True),
        column("phone", sa.Text, nullable=True),
        column("since", sa.Date),
        column("until", sa.Date, nullable=True),
        sa.CheckConstraint("until is null or until >= since", name="ck_appointments_span"),
    )
    index("appointments", "department")
    index(
        "appointments", "department", "role", name="ix_appointments_current", unique=True,
        postgresql_where=sa.text("until is null"),
    )  # fmt: skip
    op.add_column("systems", column("description", sa.Text, nullable=True), schema="catalog")
    op.add_column("systems", column("protection_level", sa.SmallInteger, nullable=True), schema="catalog")
    op.add_column("systems", revision_column(), schema="catalog")
    make(
        "categories",
        column("code", sa.String(20), primary_key=True),
        sa.Column("parent", sa.String(20), sa.ForeignKey("catalog.categories.code")),
        column("name", sa.Text),
        revision_column(),
    )
    index("categories", "parent")
    make("code_lists", column("name", sa.String(100), primary_key=True), column("entries", JSONB), revision_column())


def _lists() -> None:
    make(
        "powers",
        column("code", sa.String(60), primary_key=True),
        department(),
        column("name", sa.Text),
        column("kind", sa.String(40)),
        column("legal_basis", sa.Text),
    )
    index("powers", "department")
    make(
        "service_items",
        column("code", sa.String(60), primary_key=True),
        department(),
        sa.Column("power", sa.String(60), sa.ForeignKey("catalog.powers.code"), nullable=False),
        column("name", sa.Text),
    )
    index("service_items", "department")
    index("service_items", "power")
    make(
        "data_items",
        column("code", sa.String(60), primary_key=True),
        department(),
        sa.Column("service_item", sa.String(60), sa.ForeignKey("catalog.service_items.code"), nullable=False),
        column("name", sa.Text),
        column("compared_name", sa.Text),
        column("use", sa.String(10)),
        column("exception", sa.Text, nullable=True),
        column("exception_by", sa.Text, nullable=True),
    )
    index("data_items", "department")
    index("data_items", "service_item")
    index(
        "data_items", "compared_name", name="ix_data_items_source", unique=True,
        postgresql_where=sa.text("use = 'makes' and exception is null"),
    )  # fmt: skip
    make(
        "imports",
        column("id", sa.Uuid, primary_key=True),
        column("kind", sa.String(20)),
        department(),
        column("format", sa.String(4)),
        column("digest", sa.String(64)),
        column("rows", sa.Integer),
        column("errors", JSONB),
        column("marked", sa.LargeBinary, nullable=True),
        column("created_by", sa.Text),
        column("created_at", MOMENT, server_default=NOW),
    )


def _resources() -> None:
    added: dict[str, Any] = {
        "catalogue_code": sa.String(100), "state": sa.String(20), "published": JSONB, "draft": JSONB,
        "submitted_by": sa.Text, "contract": JSONB, "first_published_at": MOMENT, "published_at": MOMENT,
        "regraded_at": MOMENT,
    }  # fmt: skip
    for name, kind in added.items():
        op.add_column("resources", column(name, kind, nullable=True), schema="catalog")
    op.add_column("resources", revision_column(), schema="catalog")
    terms = ", ".join(f"'{name}', {name}" for name in ("code", "department", *TERMS))
    op.execute(
        "update catalog.resources set state = 'published', catalogue_code = '000/' || code,"
        f" published = jsonb_build_object({terms}), first_published_at = updated_at, published_at = updated_at,"
        " contract = jsonb_build_object('version', contract_version)"
    )
    for name in ("catalogue_code", "state"):
        op.alter_column("resources", name, nullable=False, schema="catalog")
    op.create_unique_constraint("uq_resources_catalogue_code", "resources", ["catalogue_code"], schema="catalog")
    index("resources", "department")
    index("resources", "state")
    for name in (*TERMS, "contract_version"):
        op.drop_column("resources", name, schema="catalog")
    make(
        "resource_versions",
        resource(primary_key=True),
        column("version", sa.Integer, primary_key=True),
        column("terms", JSONB),
        column("contract", JSONB, nullable=True),
        column("published_at", MOMENT),
        column("published_by", sa.Text),
    )
    op.execute(
        "insert into catalog.resource_versions select code, version, published, contract, published_at, 'operator'"
        " from catalog.resources"
    )
    make(
        "steps",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        resource(),
        column("action", sa.String(20)),
        column("source", sa.String(20)),
        column("target", sa.String(20)),
        column("actor", sa.Text),
        column("reason", sa.Text, nullable=True),
        column("at", MOMENT),
    )
    index("steps", "resource")
    make(
        "tasks",
        column("id", sa.Uuid, primary_key=True),
        resource(),
        department(),
        sa.Column("assignee", sa.Uuid, sa.ForeignKey("catalog.appointments.id")),
        column("clock", sa.String(20)),
        column("started_on", sa.Date),
        column("due_on", sa.Date),
        column("provisional", sa.Boolean),
        column("opened_at", MOMENT),
        column("closed_at", MOMENT, nullable=True),
    )
    index("tasks", "resource")
    index("tasks", "department")
    index(
        "tasks", "resource", "clock", name="ix_tasks_open", unique=True, postgresql_where=sa.text("closed_at is null")
    )
    make(
        "notices",
        column("id", sa.Uuid, primary_key=True),
        resource(),
        column("from_version", sa.String(20)),
        column("to_version", sa.String(20)),
        column("draft_digest", sa.String(64)),
        column("reasons", JSONB),
        column("deadline", sa.Date),
        column("created_at", MOMENT),
        column("closed_at", MOMENT, nullable=True),
    )
    index("notices", "resource")
    make(
        "acknowledgements",
        sa.Column("notice", sa.Uuid, sa.ForeignKey("catalog.notices.id"), primary_key=True),
        column("department", sa.String(40), primary_key=True),
        column("acknowledged_at", MOMENT, nullable=True),
        column("acknowledged_by", sa.Text, nullable=True),
    )


def _place() -> None:
    make(
        "clock_lengths",
        column("clock", sa.String(20), primary_key=True),
        column("working_days", sa.Integer),
        column("source", sa.Text),
        revision_column(),
    )
    for clock, days, source in CLOCKS:
        values = {"clock": clock, "days": days, "source": source}
        statement = "insert into catalog.clock_lengths (clock, working_days, source) values (:clock, :days, :source)"
        op.execute(sa.text(statement).bindparams(**values))
    make(
        "calendar_days",
        column("day", sa.Date, primary_key=True),
        column("working", sa.Boolean),
        column("name", sa.Text, nullable=True),
        revision_column(),
    )
    make(
        "code_sequences",
        column("scheme", sa.String(40), primary_key=True),
        column("prefix", sa.String(80), primary_key=True),
        column("last", sa.Integer),
    )
    make("policies", column("name", sa.String(40), primary_key=True), column("value", sa.Text), revision_column())
    make(
        "tokens",
        column("id", sa.String(12), primary_key=True),
        column("digest", sa.String(64)),
        column("name", sa.Text),
        department(nullable=True),
        column("roles", JSONB),
        column("expires_at", MOMENT, nullable=True),
        column("revoked_at", MOMENT, nullable=True),
        column("created_by", sa.Text),
        column("created_at", MOMENT, server_default=NOW),
    )
    make(
        "idempotency",
        column("caller", sa.String(64), primary_key=True),
        column("key", sa.Text, primary_key=True),
        column("digest", sa.String(64)),
        column("status", sa.Integer, nullable=True),
        column("headers", JSONB, nullable=True),
        column("body", sa.LargeBinary, nullable=True),
        column("created_at", MOMENT, server_default=NOW),
    )


def downgrade() -> None:
    """Back to 0001, which knows published resources only: drafts, withdrawn ones and all registers of 0002 are lost."""
    for table in (
        "idempotency", "tokens", "policies", "code_sequences", "calendar_days", "clock_lengths", "acknowledgements",
        "notices", "tasks", "steps", "resource_versions",
    ):  # fmt: skip
        op.drop_table(table, schema="catalog")
    op.execute("delete from catalog.resources where published is null")
    for name, kind in TERMS.items():
        op.add_column("resources", sa.Column(name, kind), schema="catalog")
    op.add_column("resources", sa.Column("contract_version", sa.String(20)), schema="catalog")
    moved = ", ".join(
        f"{name} = published->'items'" if name == "items"
        else f"{name} = (published->>'{name}'){'::boolean' if name == 'classified' else ''}"
        for name in TERMS
    )  # fmt: skip
    op.execute(f"update catalog.resources set {moved}, contract_version = contract->>'version'")
    for name in (*(set(TERMS) - OPTIONAL), "contract_version"):
        op.alter_column("resources", name, nullable=False, schema="catalog")
    for name in (
        "catalogue_code", "state", "published", "draft", "submitted_by", "contract", "first_published_at",
        "published_at", "regraded_at", "revision",
    ):  # fmt: skip
        op.drop_column("resources", name, schema="catalog")
    op.drop_index("ix_resources_department", "resources", schema="catalog")
    for table in ("imports", "data_items", "service_items", "powers", "code_lists", "categories"):
        op.drop_table(table, schema="catalog")
    for name in ("description", "protection_level", "revision"):
        op.drop_column("systems", name, schema="catalog")
    op.drop_table("appointments", schema="catalog")
    for name in ("division", "revision"):
        op.drop_column("departments", name, schema="catalog")
    op.drop_table("divisions", schema="catalog")
