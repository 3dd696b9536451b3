"""Alembic's entry for the schema of `demand`."""

from services.core.migrations import run_migrations
from services.demand.demand_store import Demand

run_migrations("demand", Demand.metadata)
