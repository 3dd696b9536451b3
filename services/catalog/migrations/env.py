"""Alembic's entry for the schema of `catalog`."""

from services.catalog.search import store as _search  # noqa: F401 - its tables belong to the schema
from services.catalog.store import Base
from services.core.migrations import run_migrations

run_migrations("catalog", Base.metadata)
