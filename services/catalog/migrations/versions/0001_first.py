"""Departments, information systems, resources with their mounts, and the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "departments",
        sa.Column("slug", sa.String(40), primary_key=True),
        sa.Column("uscc", sa.String(18), nullable=False, unique=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("name_en", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="catalog",
    )
    op.create_table(
        "systems",
        sa.Column("code", sa.String(40), primary_key=True),
        sa.Column("department", sa.String(40), sa.ForeignKey("catalog.departments.slug"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("database", sa.Text, nullable=False),
        sa.Column("username", sa.Text, nullable=False),
        sa.Column("password", sa.LargeBinary, nullable=False),
        schema="catalog",
    )
    op.create_table(
        "resources",
        sa.Column("code", sa.String(40), primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("abstract", sa.Text, nullable=False),
        sa.Column("department", sa.String(40), sa.ForeignKey("catalog.departments.slug"), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("contract_version", sa.String(20), nullable=False),
        sa.Column("sharing_type", sa.String(20), nullable=False),
        sa.Column("sharing_conditions", sa.Text),
        sa.Column("legal_basis", sa.Text),
        sa.Column("grade", sa.String(20), nullable=False),
        sa.Column("classified", sa.Boolean, nullable=False),
        sa.Column("update_cycle", sa.String(20), nullable=False),
        sa.Column("items", JSONB, nullable=False),
        sa.Column("mount", JSONB),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="catalog",
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        sa.Column("ce_specversion", sa.Text, nullable=False),
        sa.Column("ce_type", sa.Text, nullable=False),
        sa.Column("ce_source", sa.Text, nullable=False),
        sa.Column("ce_subject", sa.Text, nullable=False),
        sa.Column("ce_time", sa.Text, nullable=False),
        sa.Column("ce_correlationid", sa.Text, nullable=False),
        sa.Column("content_type", sa.Text, nullable=False),
        sa.Column("traceparent", sa.Text, nullable=False),
        schema="catalog",
    )


def downgrade() -> None:
    for table in ("outbox", "resources", "systems", "departments"):
        op.drop_table(table, schema="catalog")
