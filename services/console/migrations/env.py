"""Alembic's entry for the schema of `console`."""

from services.console.store import Base
from services.core.migrations import run_migrations

run_migrations("console", Base.metadata)
