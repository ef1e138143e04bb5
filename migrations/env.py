"""Runs revisions on the connection that flow_server.storage.schema hands over.

There is no alembic.ini: users migrate with `fedflow db`, developers write a revision with
scripts/new_migration.py.
"""

from alembic import context

from flow_server.storage.all_tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_type=True,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
