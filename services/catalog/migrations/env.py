"""Alembic's entry for the schema of `catalog`."""

from services.catalog.store import Base
from services.core.migrations import run_migrations

run_migrations("catalog", Base.metadata)
