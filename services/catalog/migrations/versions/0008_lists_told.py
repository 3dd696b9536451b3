"""Lines of the lists are told to the others, and a system need not have a database."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

LISTS = ("powers", "service_items", "data_items")
DATABASE = ("host", "port", "database", "username", "password")


def upgrade() -> None:
    for table in LISTS:
        told = sa.Column("told", sa.Boolean, nullable=False, server_default=sa.false())
        op.add_column(table, told, schema="catalog")
        op.alter_column(table, "told", server_default=None, schema="catalog")
    for name in DATABASE:
        op.alter_column("systems", name, nullable=True, schema="catalog")
    op.create_check_constraint(
        op.f("ck_systems_database"), "systems", f"num_nulls({', '.join(DATABASE)}) in (0, 5)", schema="catalog"
    )


def downgrade() -> None:
    """Back to 0007, which knows systems with a database only: the others stay, with one that cannot be reached."""
    op.drop_constraint(op.f("ck_systems_database"), "systems", schema="catalog")
    op.execute(
        "update catalog.systems set host = 'localhost', port = 1, database = '-', username = '-', password = ''::bytea"
        " where host is null"
    )
    for name in DATABASE:
        op.alter_column("systems", name, nullable=False, schema="catalog")
    for table in LISTS:
        op.drop_column(table, "told", schema="catalog")
