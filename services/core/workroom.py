"""The workroom: a database of the exchange in which the rows of grants for data products lie, to be read by views.

Each department that makes products has a schema of its own there, with a table for each grant, and a role that may read
this schema and nothing else. Sync fills the tables from the grants' share topics, as it fills those of departments; the
catalogue asks the departments' views, each as the role of its department.
"""

from __future__ import annotations

from psycopg.conninfo import make_conninfo

from services.core.settings import Settings

DATABASE = "products"
KEEPER = "products"
"""The role that makes and fills the tables."""
READER = "products_reader"
"""The role that asks: by itself it may read nothing, only as the role of a department."""


def schema_of(department: str) -> str:
    return f"of_{department}"


def role_of(department: str) -> str:
    return f"products_of_{department}"


def table_of(grant: str) -> str:
    return f"g_{grant}"


def address(settings: Settings, role: str) -> str:
    """The connection string for one of the two roles; raises SecretMissing."""
    return make_conninfo(
        host=settings.postgres_host,
        port=settings.postgres_port,
        dbname=DATABASE,
        user=role,
        password=settings.secret(f"postgres_{role}_password"),
    )
