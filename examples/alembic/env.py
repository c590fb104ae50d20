"""An Alembic environment for an application whose database also holds a store: its tables are left to authstore."""

from alembic import context
from sqlalchemy import create_engine

from authstore.schema import tables

OURS = tables("postgres")


def include_name(name: str | None, kind: str, parents: object) -> bool:
    """`alembic revision --autogenerate` neither drops nor changes what is authstore's."""
    return kind != "table" or name not in OURS


engine = create_engine(context.config.get_main_option("sqlalchemy.url", ""))
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None, include_name=include_name)
    with context.begin_transaction():
        context.run_migrations()
