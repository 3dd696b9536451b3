"""The index of the catalogue's search."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0003"
down_revision = "0002"

WORD = sa.Text(collation="C")
NAMES = ("search_resources", "search_postings", "search_words", "search_spellings", "search_labels", "search_lexicon")


def upgrade() -> None:
    op.create_table(
        "search_resources",
        sa.Column("ordinal", sa.Integer, sa.Identity(start=0, minvalue=0), primary_key=True),
        sa.Column("code", sa.String(40), nullable=False, unique=True),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("document", JSONB, nullable=False),
        sa.Column("terms", ARRAY(sa.Text), nullable=False),
        schema="catalog",
    )
    op.create_table(
        "search_postings",
        sa.Column("term", WORD, primary_key=True),
        sa.Column("chunk", sa.Integer, primary_key=True),
        sa.Column("members", sa.LargeBinary, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        schema="catalog",
    )
    op.create_table(
        "search_words",
        sa.Column("word", WORD, primary_key=True),
        sa.Column("pinyin", WORD, nullable=False),
        sa.Column("initials", WORD, nullable=False),
        schema="catalog",
    )
    for column in ("pinyin", "initials"):
        op.create_index(f"ix_search_words_{column}", "search_words", [column], schema="catalog")
    op.create_table(
        "search_spellings",
        sa.Column("form", WORD, primary_key=True),
        sa.Column("word", WORD, primary_key=True),
        schema="catalog",
    )
    op.create_table(
        "search_labels",
        sa.Column("field", sa.String(20), primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        schema="catalog",
    )
    op.create_table(
        "search_lexicon",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("word", WORD, nullable=False, unique=True),
        schema="catalog",
    )
    state = op.create_table(
        "search_state",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("rebuilt", sa.BigInteger, nullable=False),
        schema="catalog",
    )
    op.bulk_insert(state, [{"id": 1, "revision": 0, "rebuilt": 0}])


def downgrade() -> None:
    for name in ("search_state", *reversed(NAMES)):
        op.drop_table(name, schema="catalog")
