"""Accounts, failures of signing in, and the outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "accounts",
        sa.Column("login", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("department", sa.String(40)),
        sa.Column("roles", JSONB, nullable=False),
        sa.Column("language", sa.String(5), nullable=False),
        sa.Column("password_hash", sa.Text),
        sa.Column("subject", sa.Text, unique=True),
        *(sa.Column(name, sa.Boolean, nullable=False) for name in ("must_change", "disabled")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("epoch", "revision")),
        sa.Column("created_by", sa.Text, nullable=False),
        sa.Column("created_at", moment, nullable=False, server_default=sa.func.now()),
        sa.Column("last_signed_in_at", moment),
        schema="console",
    )
    op.create_table(
        "sign_in_failures",
        sa.Column("login", sa.String(40), primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last_at", moment, nullable=False),
        sa.Column("locked_until", moment),
        schema="console",
    )
    op.create_index("ix_sign_in_failures_last_at", "sign_in_failures", ["last_at"], schema="console")
    op.create_table(
        "outbox",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("payload", sa.LargeBinary),
        *(
            sa.Column(name, sa.Text, nullable=False)
            for name in (
                "ce_specversion", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_correlationid", "content_type",
                "traceparent",
            )
        ),
        schema="console",
    )  # fmt: skip


def downgrade() -> None:
    for table in ("outbox", "sign_in_failures", "accounts"):
        op.drop_table(table, schema="console")
