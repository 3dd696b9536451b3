"""Alembic for every service: migrations in a folder of its own, the version table in its own schema."""

from __future__ import annotations

from pathlib import Path

import alembic.command
import alembic.config
from alembic import context
from sqlalchemy import MetaData

from services.core.db import engine
from services.core.settings import Settings


def migrate(settings: Settings, service: str, folder: Path) -> None:
    """Bring the schema of `service` up to the newest migration in `folder`."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(folder))
    config.attributes["engine"] = engine(settings, service)
    alembic.command.upgrade(config, "head")


def run_migrations(service: str, tables: MetaData) -> None:
    """What each service's Alembic `env.py` calls."""
    with context.config.attributes["engine"].connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=tables,
            version_table_schema=service,
            include_schemas=True,
            include_name=lambda name, kind, _: kind != "schema" or name == service,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
