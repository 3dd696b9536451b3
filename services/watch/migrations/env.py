"""Alembic's entry for the schema of `watch`."""

from services.core.migrations import run_migrations
from services.watch.store import Base

run_migrations("watch", Base.metadata)
