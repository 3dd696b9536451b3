"""Alembic's entry for the schema of `sync`."""

from services.core.migrations import run_migrations
from services.sync.store import Base

run_migrations("sync", Base.metadata)
