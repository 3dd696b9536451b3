"""References of actors, the log to search in, the outbox and the idempotency keys."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "actors",
        sa.Column("reference", sa.String(20), primary_key=True),
        sa.Column("name", sa.Text),
        sa.Column("key", sa.LargeBinary),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        schema="audit",
    )
    op.create_index("ix_actors_name", "actors", ["name"], unique=True, schema="audit")
    op.create_table(
        "cursors",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("next", sa.BigInteger, nullable=False),
        schema="audit",
    )
    _entries()
    _for_requests()


def _entries() -> None:
    op.create_table(
        "entries",
        sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("type", "topic")),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("subject", "thread")),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in ("occurred_at", "recorded_at")),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("actor", "department", "trace", "outcome")),
        sa.Column("records", sa.BigInteger, nullable=False),
        schema="audit",
    )
    op.create_index("ix_entries_place", "entries", ["topic", "partition", "offset"], unique=True, schema="audit")
    for name in ("actor", "department", "type", "thread", "subject"):
        op.create_index(f"ix_entries_{name}", "entries", [name, "sequence"], schema="audit")
    op.create_index("ix_entries_occurred_at", "entries", ["occurred_at"], schema="audit")


def _for_requests() -> None:
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
        schema="audit",
    )  # fmt: skip
    op.create_table(
        "idempotency",
        sa.Column("caller", sa.String(64), primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", JSONB),
        sa.Column("body", sa.LargeBinary),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        schema="audit",
    )


def downgrade() -> None:
    for table in ("idempotency", "outbox", "entries", "cursors", "actors"):
        op.drop_table(table, schema="audit")
