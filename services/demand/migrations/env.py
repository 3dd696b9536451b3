"""Alembic's entry for the schema of `demand`."""

from services.core.migrations import run_migrations
from services.demand.store import Base

run_migrations("demand", Base.metadata)
