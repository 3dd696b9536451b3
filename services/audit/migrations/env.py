"""Alembic's entry for the schema of `audit`."""

from services.audit.store import Base
from services.core.migrations import run_migrations

run_migrations("audit", Base.metadata)
