"""authstore's tables, as a revision: beside it lies what `authstore migrate URL --sql > authstore_tables.sql` printed.

After an upgrade of authstore print what is pending into the next revision; stores are opened with `migrate=False`.
"""

from pathlib import Path

from alembic import op

revision = "authstore_tables"
down_revision = None


def upgrade() -> None:
    """Runs them all, in the revision's transaction."""
    sql = Path(__file__).with_suffix(".sql").read_text("utf-8")
    op.get_bind().execution_options(no_parameters=True).exec_driver_sql(sql)


def downgrade() -> None:
    """There is no way back that keeps the people."""
    raise NotImplementedError("put a backup back instead")
